#!/bin/sh
# Fetches Apache Kafka and what it needs into .tools/kafka with Maven, once.
# The tests that want a real broker find it there (internal/kafka/kafkatest). Without Java
# and Maven they leave it out.
set -eu
cd "$(dirname "$0")/.."
target=.tools/kafka
if [ -e "$target/complete" ] && cmp -s .ci/kafka/pom.xml "$target/complete"; then
    exit 0
fi
for tool in java mvn; do
    if ! command -v "$tool" >/dev/null; then
        echo "kafka.sh: no $tool here; the tests against Apache Kafka are left out (apt-get install default-jre-headless maven)" >&2
        exit 0
    fi
done
rm -rf "$target"
mkdir -p "$target"
mvn -q -B -f .ci/kafka/pom.xml dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$PWD/$target/lib"
cp .ci/kafka/pom.xml "$target/complete"
