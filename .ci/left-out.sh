#!/bin/sh
# The last lines of `make test`: which parts could not run here, and how to get
# them. With CI=true the tests themselves fail instead.
said=0
left() {
	[ $said = 1 ] || echo "Left out on this machine:"
	said=1
	echo "  $1"
}
[ -e .tools/kafka/complete ] || left "tests against Apache Kafka: install Java 17 and Maven (apt-get install default-jre-headless maven), then make test"
[ -x .tools/venv/bin/python ] || left "readers of the tables (deltalake, DuckDB, Polars): install Python 3 (apt-get install python3-venv), then make test"
[ "${CI:-}" = true ] || left "Spark, Delta's kernel and parquet-java as readers of the tables: make spark"
command -v promtool >/dev/null 2>&1 || left "checks of the alert rules: install Prometheus (apt-get install prometheus)"
command -v chromium >/dev/null 2>&1 || left "the live page in a browser: install Chromium (apt-get install chromium)"
[ -x .tools/bin/versitygw ] || left "the object store against an S3 server: sh .ci/s3.sh builds one in some minutes, then make test"
[ $said = 1 ] || echo "Nothing was left out."
