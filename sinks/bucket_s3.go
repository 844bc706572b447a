package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// objectStore is a Bucket in an object store that speaks S3.
type objectStore struct {
	client *s3.Client
	bucket string
	prefix string // of its keys; "" or with a slash at the end
	url    string // without parameters
	put    s3.PutObjectInput
}

func openS3(ctx context.Context, location string) (*objectStore, error) {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("bucket %s: want s3://NAME/FOLDER with the parameter region", location)
	}
	inside := strings.Trim(u.Path, "/")
	s := &objectStore{bucket: u.Host, url: strings.TrimSuffix("s3://"+u.Host+"/"+inside, "/")}
	if inside != "" {
		s.prefix = inside + "/"
	}
	if err := s.connect(ctx, u.Query()); err != nil {
		return nil, fmt.Errorf("bucket s3://%s: %w; check the URL's parameters and the credentials", u.Host, err)
	}
	return s, nil
}

// connect makes the client from the parameters of the URL and, for the rest, from the
// sources of AWS tools: environment, files, the machine's role.
func (s *objectStore) connect(ctx context.Context, q url.Values) error {
	p := parameters{values: q}
	var load []func(*config.LoadOptions) error
	if region := p.text("region"); region != "" {
		load = append(load, config.WithRegion(region))
	}
	if profile := p.text("profile"); profile != "" {
		load = append(load, config.WithSharedConfigProfile(profile))
	}
	if p.flag("anonymous") {
		load = append(load, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if p.flag("dualstack") {
		load = append(load, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	if p.flag("fips") {
		load = append(load, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if when := p.choice("request_checksum_calculation", "when_supported", "when_required"); when == "when_required" {
		load = append(load, config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired))
	}
	if when := p.choice("response_checksum_validation", "when_supported", "when_required"); when == "when_required" {
		load = append(load, config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired))
	}
	endpoint, path, accelerate := p.text("endpoint"), p.flag("use_path_style"), p.flag("accelerate")
	s.put.ServerSideEncryption = types.ServerSideEncryption(p.choice("ssetype", string(types.ServerSideEncryptionAes256), string(types.ServerSideEncryptionAwsKms), string(types.ServerSideEncryptionAwsKmsDsse)))
	if key := p.text("kmskeyid"); key != "" {
		s.put.SSEKMSKeyId = &key
	}
	if err := p.rest(); err != nil {
		return err
	}
	// The client's own lines go to the log of the process.
	load = append(load, config.WithLogger(logging.LoggerFunc(logLine)))
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return err
	}
	s.client = s3.NewFromConfig(loaded, func(o *s3.Options) {
		if endpoint != "" {
			if !strings.Contains(endpoint, "://") {
				endpoint = "https://" + endpoint
			}
			o.BaseEndpoint = &endpoint
		}
		o.UsePathStyle, o.UseAccelerate = path, accelerate
	})
	return nil
}

// parameters reads those of a URL and knows which nobody asked for.
type parameters struct {
	values url.Values
	known  []string
	err    error
}

func (p *parameters) text(name string) string {
	p.known = append(p.known, name)
	return p.values.Get(name)
}

func (p *parameters) flag(name string) bool {
	text := p.text(name)
	if text == "" {
		return false
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		p.err = errors.Join(p.err, fmt.Errorf("%s=%s: want true or false", name, text))
	}
	return v
}

func (p *parameters) choice(name string, of ...string) string {
	text := p.text(name)
	if text != "" && !slices.Contains(of, text) {
		p.err = errors.Join(p.err, fmt.Errorf("%s=%s: want %s", name, text, strings.Join(of, " or ")))
	}
	return text
}

// rest refuses invalid and unknown parameters.
func (p *parameters) rest() error {
	for name := range p.values {
		if !slices.Contains(p.known, name) {
			p.err = errors.Join(p.err, fmt.Errorf("no parameter %q; there are %s", name, strings.Join(p.known, ", ")))
		}
	}
	return p.err
}

func logLine(class logging.Classification, format string, v ...any) {
	level := slog.LevelDebug
	if class == logging.Warn {
		level = slog.LevelWarn
	}
	slog.Log(context.Background(), level, "object store: "+fmt.Sprintf(format, v...))
}

func (s *objectStore) URL() string { return s.url }

// Close leaves idle connections to their time-out.
func (s *objectStore) Close() error { return nil }

func (s *objectStore) key(key string) *string { return aws.String(s.prefix + key) }

func (s *objectStore) Read(ctx context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	if err != nil {
		return nil, s.explain("read", key, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	return data, s.explain("read", key, err)
}

func (s *objectStore) Stat(ctx context.Context, key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	if err != nil {
		return Object{}, s.explain("stat", key, err)
	}
	return Object{key, aws.ToInt64(out.ContentLength), aws.ToTime(out.LastModified)}, nil
}

func (s *objectStore) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	if err = s.explain("delete", key, err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *objectStore) Write(ctx context.Context, key string, data []byte) error {
	return s.store(ctx, key, data, nil)
}

func (s *objectStore) Create(ctx context.Context, key string, data []byte) error {
	return s.store(ctx, key, data, aws.String("*"))
}

func (s *objectStore) store(ctx context.Context, key string, data []byte, unless *string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	in := s.put
	in.Bucket, in.Key, in.IfNoneMatch = &s.bucket, s.key(key), unless
	in.ContentType, in.ContentLength = aws.String("application/octet-stream"), aws.Int64(int64(len(data)))
	for attempt := 0; ; attempt++ {
		in.Body = bytes.NewReader(data)
		_, err := s.client.PutObject(ctx, &in)
		// S3 says so when two conditional writes meet and neither has won yet.
		if codeOf(err) == "ConditionalRequestConflict" && attempt < 10 {
			continue
		}
		return s.explain("store", key, err)
	}
}

func (s *objectStore) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key(prefix)}
		if after != "" {
			in.StartAfter = s.key(after)
		}
		for pages := s3.NewListObjectsV2Paginator(s.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, s.explain("list", prefix, err))
				return
			}
			for _, o := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
				// Some stores include the key to start after.
				if key > after && !yield(Object{key, aws.ToInt64(o.Size), aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

// codeOf returns the code of a refusal by the store, "" of another error.
func codeOf(err error) string {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return refused.ErrorCode()
	}
	return ""
}

// explain names the place, and gives the errors that callers ask for their
// usual names.
func (s *objectStore) explain(what, key string, err error) error {
	if err == nil {
		return nil
	}
	var answer interface{ HTTPStatusCode() int }
	status := 0
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	switch code := codeOf(err); {
	case code == "NoSuchBucket":
		// The place itself is missing, which no caller takes for an absent object.
	case code == "NoSuchKey", code == "NotFound", status == http.StatusNotFound:
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case code == "PreconditionFailed", status == http.StatusPreconditionFailed:
		err = fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return fmt.Errorf("%s %s in %s: %w", what, key, s.url, err)
}
