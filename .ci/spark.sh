#!/bin/sh
# Fetches Spark, Delta Lake for it, Delta's own kernel and parquet-java into
# .tools/spark with Maven, once: the readers of the tables that run on the JVM
# (sinks/spark_test.go). 330 MB; without Java and Maven the tests leave them out.
set -eu
cd "$(dirname "$0")/.."
target=.tools/spark
if [ -e "$target/complete" ] && cmp -s .ci/spark/pom.xml "$target/complete"; then
    exit 0
fi
for tool in java mvn; do
    if ! command -v "$tool" >/dev/null; then
        echo "spark.sh: no $tool here; the table readers on the JVM are left out (apt-get install default-jre-headless maven)" >&2
        exit 0
    fi
done
rm -rf "$target"
mkdir -p "$target"
mvn -q -B -f .ci/spark/pom.xml dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$PWD/$target/lib"
cp .ci/spark/pom.xml "$target/complete"
