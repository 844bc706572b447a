"""Asks the readers of a Delta table for the rows of a filter of each kind on
each column, and prints where one of them answers otherwise than the rows of a
scan without filters say.

usage: filter_tables.py TABLE [STORAGE-OPTIONS]

On an object store, where each question costs requests, a column of each kind is asked.

Prints JSON: {"asked": N, "wrong": [[reader, filter, got, want], ...],
"untouched": files that an id outside every range makes delta-rs open}.
"""

import datetime
import json
import os
import sys

import deltalake
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

import stores

KEYS = ["topic", "partition", "offset"]
KINDS = ["candidate_id", "offset", "candidate_time", "date", "model"]


def literal(v):
    if isinstance(v, str):
        return "'" + v.replace("'", "''") + "'"
    if isinstance(v, datetime.datetime):
        return "TIMESTAMP '" + v.astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00:00") + "'"
    if isinstance(v, datetime.date):
        return f"DATE '{v.isoformat()}'"
    return repr(v)


def absent(v):
    """A value beyond all of a column's."""
    if isinstance(v, bool):
        return not v
    if isinstance(v, str):
        return "zzzz" + v
    if isinstance(v, (datetime.datetime, datetime.date)):
        return v + datetime.timedelta(days=4000)
    return v + 1_000_000_007


def filters(name, values):
    """Filters on a column as (text, SQL, pyarrow, polars, predicate)."""
    col, quoted = polars.col(name), f'"{name}"'
    field = ds.field(name)
    yield "is null", f"{quoted} IS NULL", field.is_null(), col.is_null(), lambda v: v is None
    yield "is not null", f"{quoted} IS NOT NULL", field.is_valid(), col.is_not_null(), lambda v: v is not None
    if not values:
        return
    low, middle, high, none = values[0], values[len(values) // 2], values[-1], absent(values[-1])
    for v in {middle: 0, high: 0, none: 0}:
        yield f"= {v}", f"{quoted} = {literal(v)}", field == pc.scalar(v), col == v, lambda x, v=v: x is not None and x == v
    yield f">= {middle}", f"{quoted} >= {literal(middle)}", field >= pc.scalar(middle), col >= middle, lambda x: x is not None and x >= middle
    yield f"< {middle}", f"{quoted} < {literal(middle)}", field < pc.scalar(middle), col < middle, lambda x: x is not None and x < middle
    some = [low, high, none]
    yield f"in {some}", f"{quoted} IN ({', '.join(map(literal, some))})", field.isin(some), col.is_in(some), lambda x: x in some


def main(table, storage):
    t = deltalake.DeltaTable(table, storage_options=storage)
    every = t.to_pyarrow_table()
    scalars = [f.name for f in every.schema if not pa.types.is_nested(f.type) and not pa.types.is_binary(f.type)]
    data = every.select(scalars).to_pylist()
    db = stores.connect(storage)
    db.execute("SET TimeZone = 'UTC'")
    engine = deltalake.QueryBuilder().register("t", t)
    keys = ", ".join(f'"{k}"' for k in KEYS)
    dataset = t.to_pyarrow_dataset()
    lazy = polars.scan_delta(table, storage_options=storage)

    def order(rows):
        return sorted(tuple(r[k] for k in KEYS) for r in rows)

    asked, wrong = 0, []
    for name in scalars if storage is None else KINDS:
        values = sorted({r[name] for r in data if r[name] is not None})
        for text, sql, arrow, expression, predicate in filters(name, values):
            want = order(r for r in data if predicate(r[name]))
            answers = {
                "deltalake": lambda: t.to_pyarrow_table(columns=KEYS, filters=arrow).to_pylist(),
                "pyarrow": lambda: dataset.to_table(columns=KEYS, filter=arrow).to_pylist(),
                "delta-rs": lambda: pa.table(engine.execute(f"SELECT {keys} FROM t WHERE {sql}").read_all()).to_pylist(),
                "duckdb": lambda: db.sql(f"SELECT {keys} FROM delta_scan('{table}') WHERE {sql}").to_arrow_table().to_pylist(),
                "polars": lambda: lazy.filter(expression).select(KEYS).collect().to_dicts(),
            }
            for reader, ask in answers.items():
                asked += 1
                try:
                    got = order(ask())
                    if got != want:
                        wrong.append([reader, f"{name} {text}", len(got), len(want)])
                except Exception as e:
                    wrong.append([reader, f"{name} {text}", str(e)[:200], len(want)])
    nobody = [n for n in ("candidate_id", "architecture") if n in scalars]
    touched = sum(len(list(dataset.get_fragments(filter=ds.field(n) == "zzzz nobody"))) for n in nobody)
    return {"asked": asked, "wrong": wrong, "touched": touched, "files": len(t.file_uris())}


if __name__ == "__main__":
    json.dump(main(sys.argv[1], stores.options(sys.argv[2:])), sys.stdout)
    # The readers' threads may still run, and ending the interpreter under them aborts it.
    sys.stdout.flush()
    os._exit(0)
