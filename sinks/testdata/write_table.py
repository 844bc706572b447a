"""Does to a Delta table what its other users may do while archflow writes it.

usage: write_table.py TABLE optimize|checkpoint|vacuum|append|rewrite
"""

import os
import sys

import deltalake

table, what = sys.argv[1:]
t = deltalake.DeltaTable(table)
if what == "optimize":
    t.optimize.compact()
elif what == "checkpoint":
    t.create_checkpoint()
elif what == "vacuum":
    t.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
elif what == "rewrite":
    deltalake.write_deltalake(t, t.to_pyarrow_dataset().scanner().to_reader(), mode="overwrite")
elif what == "append":
    one = t.to_pyarrow_table().slice(0, 1)
    offset = one.schema.get_field_index("offset")
    import pyarrow
    one = one.set_column(offset, "offset", pyarrow.array([1_000_000], pyarrow.int64()))
    deltalake.write_deltalake(table, one, mode="append")
else:
    sys.exit("unknown: " + what)
# The readers' threads may still run, and ending the interpreter under them aborts
# it ("terminate called without an active exception"); all that matters is written.
sys.stdout.flush()
os._exit(0)
