package sinks

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// s3Server starts the S3 server of .ci/s3.sh and returns a function that makes
// the URL of a new, empty bucket. Without the server it fails where CI=true and
// skips elsewhere.
func s3Server(t *testing.T) func() string {
	t.Helper()
	program, err := filepath.Abs("../.tools/bin/versitygw")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the S3 server is missing; sh .ci/s3.sh builds it")
		}
		t.Skip("left out: the S3 server is missing; sh .ci/s3.sh builds it")
	}
	address := kafkatest.FreeAddress(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, program, "--access", "user", "--secret", "password", "--port", address, "--quiet",
		"posix", "--sidecar", t.TempDir(), dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = server.Wait() // killed
	})
	t.Setenv("AWS_ACCESS_KEY_ID", "user")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "password")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the S3 server does not listen")
		}
	}
	var buckets atomic.Int32
	return func() string {
		name := fmt.Sprintf("bucket-%d", buckets.Add(1))
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("s3://%s/deep/folder?region=us-east-1&endpoint=http://%s&use_path_style=true", name, address)
	}
}

func TestS3(t *testing.T) {
	bucket := s3Server(t)
	testBucket(t, func(t *testing.T) Bucket { return openTest(t, bucket()) })
}
