"""Prints how many dead letters of each class a table has, as JSON. Fails when
one of them is there twice.

usage: letters.py TABLE
"""

import collections
import json
import os
import sys

import deltalake

rows = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table(columns=["topic", "partition", "offset", "error_class"]).to_pylist()
places = {(r["topic"], r["partition"], r["offset"]) for r in rows}
assert len(places) == len(rows), f"{len(rows)} rows of {len(places)} messages"
json.dump(collections.Counter(r["error_class"] for r in rows), sys.stdout)
# The readers' threads may still run, and ending the interpreter under them aborts
# it ("terminate called without an active exception"); all that matters is written.
sys.stdout.flush()
os._exit(0)
