#!/bin/sh
# Builds the S3 server that the tests of object stores run against into
# .tools/bin (sinks/s3_test.go), once. It takes minutes.
set -eu
cd "$(dirname "$0")/.."
version=v1.8.0
if [ -x .tools/bin/versitygw ] && [ "$(cat .tools/bin/versitygw.version 2>/dev/null)" = "$version" ]; then
	exit 0
fi
GOBIN="$PWD/.tools/bin" go install "github.com/versity/versitygw/cmd/versitygw@$version"
echo "$version" >.tools/bin/versitygw.version
