"""Asks a question of the table predictions and tells what the answer cost.

usage: year.py TABLE QUESTION TODAY

Prints JSON: {"text": the answer in short, "cpu": seconds of processor time of the
process for it, without loading the libraries, "rss": its peak memory in MB}.
"""

import datetime
import glob
import json
import os
import sys
import time

table, question, today = sys.argv[1:]
today = datetime.date.fromisoformat(today)


def db():
    import duckdb
    import duckdb_extension_delta
    c = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    extension, = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/**/*.duckdb_extension", recursive=True)
    c.execute(f"LOAD '{extension}'")
    return c


def count():
    import deltalake
    import pyarrow.dataset
    yield
    t = deltalake.DeltaTable(table)
    n = t.to_pyarrow_dataset().count_rows()
    yield f"{n} rows, {len(t.file_uris())} files, delta-rs"


def once():
    c = db()
    yield
    n, d = c.sql(f"SELECT count(*), count(DISTINCT partition::BIGINT * 1000000000 + \"offset\") FROM delta_scan('{table}')").fetchone()
    yield f"{d} of {n} in DuckDB"


def one():
    import deltalake
    import pyarrow.dataset as ds
    yield
    t = deltalake.DeltaTable(table).to_pyarrow_dataset()
    wanted = (ds.field("candidate_id") == "1200") & (ds.field("topic") == "archflow.architectures")
    files = len(list(t.get_fragments(filter=wanted)))
    yield f"{t.to_table(filter=wanted).num_rows} row of {files} files, pyarrow"


def best():
    c = db()
    yield
    rows = c.sql(f"""SELECT network, max_by(predictions['cifar10_test'].value, predicted_time) AS value
        FROM delta_scan('{table}') WHERE model IS NOT NULL GROUP BY network ORDER BY value DESC LIMIT 10""").fetchall()
    yield f"{len(rows)} networks, DuckDB"


def drift():
    c = db()
    yield
    rows = c.sql(f"""SELECT date, count(*), avg(predictions['cifar10_test'].value) FROM delta_scan('{table}')
        GROUP BY date ORDER BY date""").fetchall()
    yield f"{len(rows)} days, DuckDB"


def day():
    import polars as pl
    yield
    frame = pl.scan_delta(table).filter(pl.col("date") == today).group_by("model").agg(pl.len(), pl.col("predicted_time").max()).collect()
    yield f"{frame['len'].sum()} rows, Polars"


ask = {"open and count": count, "one row an offset": once, "one candidate": one, "best ten": best, "drift by day": drift, "a day in Polars": day}[question]()
next(ask)
before = time.process_time()
text = next(ask)
cpu = time.process_time() - before
peak, = (int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
json.dump({"text": text, "cpu": cpu, "rss": peak / 1024}, sys.stdout)
sys.stdout.flush()
os._exit(0)  # the readers' threads may still run
