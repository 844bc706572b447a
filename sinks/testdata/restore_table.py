"""Restores a Delta table to an older version.

usage: restore_table.py TABLE VERSION
"""

import sys

import deltalake

deltalake.DeltaTable(sys.argv[1]).restore(int(sys.argv[2]))
