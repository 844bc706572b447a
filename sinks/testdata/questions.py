"""Runs the snippets of docs/tables.md on a table and prints how many rows each
gives, as JSON: {question: {language: rows}}, or in place of the rows the error, or how
the rows of Polars differ from those of SQL in the columns that both have.

usage: questions.py PAGE TABLES
"""

import glob
import collections
import datetime
import json
import os
import re
import sys

import deltalake
import duckdb
import duckdb_extension_delta
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc


def snippets(page):
    """(question, language, text) of every snippet below a question."""
    for part in re.split(r"^### ", open(page).read().split("\n## ")[1], flags=re.M)[1:]:
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```", part, flags=re.M | re.S):
            yield part.split("\n")[0], language, text.strip()


def size(result):
    if isinstance(result, pl.LazyFrame):
        return result.collect().height
    if isinstance(result, pa.Scalar):
        return 1
    return len(result)


def plain(value):
    """A value as both readers give it: maps are dicts, times in UTC, and numbers rounded."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc)
    if isinstance(value, pa.MonthDayNano):
        return datetime.timedelta(days=value.days, microseconds=value.nanoseconds / 1000)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, tuple) and len(v) == 2 for v in value):
            return {k: plain(v) for k, v in value}
        if value and all(isinstance(v, dict) and v.keys() == {"key", "value"} for v in value):
            return {v["key"]: plain(v["value"]) for v in value}
        return [plain(v) for v in value]
    return value


def difference(sql, polars):
    """Says how two tables of pyarrow differ, in any order of their rows; "" if they do not."""
    common = sorted(set(sql.column_names) & set(polars.column_names))
    a, b = (collections.Counter(repr([plain(row[c]) for c in common]) for row in t.to_pylist()) for t in (sql, polars))
    if a == b:
        return ""
    return f"{common}: only in SQL {list((a - b).elements())[:2]}, only in Polars {list((b - a).elements())[:2]}"


def main(page, tables):
    db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    extension, = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/**/*.duckdb_extension", recursive=True)
    db.execute(f"LOAD '{extension}'")
    lazy, arrow = {}, {}
    for name in ("predictions", "labels", "models", "scores"):
        db.execute(f"CREATE VIEW {name} AS SELECT * FROM delta_scan('{tables}/{name}')")
        lazy[name] = pl.scan_delta(f"{tables}/{name}")
        arrow[name] = deltalake.DeltaTable(f"{tables}/{name}").to_pyarrow_table()
    out, answers = {}, {}
    for question, language, text in snippets(page):
        try:
            if language == "sql":
                answers[question] = db.sql(text).to_arrow_table()
                n = len(answers[question])
            elif language == "polars":
                result = eval(text, {"pl": pl, "np": np, **lazy})
                n = size(result)
                if question in answers:
                    n = difference(answers[question], result.collect().to_arrow()) or n
            else:
                n = size(eval(text, {"pa": pa, "pc": pc, "np": np, **arrow}))
        except Exception as e:
            n = f"{type(e).__name__}: {e}"[:400]
        out.setdefault(question, {})[language] = n
    return out


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the readers' threads may still run
