"""Runs the snippets of docs/tables.md on a table and prints how many rows each
gives, as JSON: {question: {language: rows}}, or the error in place of the rows.

usage: questions.py PAGE TABLES
"""

import glob
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


def main(page, tables):
    db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    extension, = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/**/*.duckdb_extension", recursive=True)
    db.execute(f"LOAD '{extension}'")
    lazy, arrow = {}, {}
    for name in ("predictions", "labels", "models", "scores"):
        db.execute(f"CREATE VIEW {name} AS SELECT * FROM delta_scan('{tables}/{name}')")
        lazy[name] = pl.scan_delta(f"{tables}/{name}")
        arrow[name] = deltalake.DeltaTable(f"{tables}/{name}").to_pyarrow_table()
    out = {}
    for question, language, text in snippets(page):
        try:
            if language == "sql":
                n = len(db.sql(text).fetchall())
            elif language == "polars":
                n = size(eval(text, {"pl": pl, "np": np, **lazy}))
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
