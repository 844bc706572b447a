#!/bin/sh
# Makes .tools/venv with the readers that the tests open the tables with
# (sinks/readers_test.go) and with what executes docs/notebooks, once. Without Python
# the tests leave them out.
set -eu
cd "$(dirname "$0")/.."
wanted="deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5 duckdb-extension-delta==1.5.5 duckdb-extension-httpfs==1.5.5 pyarrow==26.0.1 pytz==2026.6 py4j==0.10.9.9 numpy==2.4.6 confluent-kafka==2.16.1 matplotlib==3.11.2 nbclient==0.11.0 ipykernel==7.4.0"
if [ "$(cat .tools/venv/complete 2>/dev/null)" = "$wanted" ]; then
	exit 0
fi
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
	echo "python.sh: no Python 3 with venv here; the table readers are left out (apt-get install python3-venv)" >&2
	exit 0
fi
mkdir -p .tools
python3 -m venv .tools/venv
# shellcheck disable=SC2086 -- a list of names
.tools/venv/bin/pip install -q --no-compile --disable-pip-version-check $wanted
# What only those need who build against pyarrow or test it.
rm -rf .tools/venv/lib/python3*/site-packages/pyarrow/tests .tools/venv/lib/python3*/site-packages/pyarrow/include
echo "$wanted" >.tools/venv/complete
