package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

// objectStore is a Bucket in an object store.
type objectStore struct {
	bucket *blob.Bucket
	url    string // without parameters
}

func openS3(ctx context.Context, location string) (*objectStore, error) {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("bucket %s: want s3://NAME/FOLDER with the parameter region", location)
	}
	inside := strings.Trim(u.Path, "/")
	u.Path = ""
	b, err := openLogged(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("bucket s3://%s: %w; check the URL's parameters and the credentials", u.Host, err)
	}
	if inside != "" {
		b = blob.PrefixedBucket(b, inside+"/")
	}
	return &objectStore{b, strings.TrimSuffix("s3://"+u.Host+"/"+inside, "/")}, nil
}

// openLogged opens the bucket of a URL with a client whose own lines go to the
// log of the process instead of standard error.
func openLogged(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, err
	}
	var client *s3.Client
	if !b.As(&client) {
		return b, nil
	}
	logged := s3.New(client.Options(), func(o *s3.Options) { o.Logger = logging.LoggerFunc(logLine) })
	q := u.Query()
	again, err := s3blob.OpenBucket(ctx, logged, u.Host, &s3blob.Options{
		EncryptionType:             types.ServerSideEncryption(q.Get("ssetype")),
		KMSEncryptionID:            q.Get("kmskeyid"),
		RequestChecksumCalculation: client.Options().RequestChecksumCalculation,
	})
	return again, errors.Join(err, b.Close())
}

func logLine(class logging.Classification, format string, v ...any) {
	level := slog.LevelDebug
	if class == logging.Warn {
		level = slog.LevelWarn
	}
	slog.Log(context.Background(), level, "object store: "+fmt.Sprintf(format, v...))
}

func (s *objectStore) URL() string { return s.url }

func (s *objectStore) Close() error { return s.bucket.Close() }

func (s *objectStore) Read(ctx context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	data, err := s.bucket.ReadAll(ctx, key)
	return data, s.explain("read", key, err)
}

func (s *objectStore) Stat(ctx context.Context, key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	a, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return Object{}, s.explain("stat", key, err)
	}
	return Object{key, a.Size, a.ModTime}, nil
}

func (s *objectStore) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := s.bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return s.explain("delete", key, err)
}

func (s *objectStore) Write(ctx context.Context, key string, data []byte) error {
	return s.put(ctx, key, data, false)
}

func (s *objectStore) Create(ctx context.Context, key string, data []byte) error {
	return s.put(ctx, key, data, true)
}

func (s *objectStore) put(ctx context.Context, key string, data []byte, create bool) error {
	if err := checkKey(key); err != nil {
		return err
	}
	options := &blob.WriterOptions{IfNotExist: create, ContentType: "application/octet-stream"}
	for attempt := 0; ; attempt++ {
		err := s.bucket.WriteAll(ctx, key, data, options)
		// S3 says so when two conditional writes meet and neither has won yet.
		var code interface{ ErrorCode() string }
		if errors.As(err, &code) && code.ErrorCode() == "ConditionalRequestConflict" && attempt < 10 {
			continue
		}
		return s.explain("store", key, err)
	}
}

func (s *objectStore) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for it := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
			o, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Object{}, s.explain("list", prefix, err))
				return
			}
			if o.Key > after && !o.IsDir && !yield(Object{o.Key, o.Size, o.ModTime}, nil) {
				return
			}
		}
	}
}

// explain names the place, and gives the errors that callers ask for their
// usual names.
func (s *objectStore) explain(what, key string, err error) error {
	if err == nil {
		return nil
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		err = fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return fmt.Errorf("%s %s in %s: %w", what, key, s.url, err)
}
