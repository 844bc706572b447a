"""What other programs do to a table that is in use.

usage: foreign.py compact|constrain|release|positions TABLE [PREFIX]

positions prints {appId without PREFIX: next offset} of the transactions whose
application begins with PREFIX; the others print {}.
"""

import json
import sys
import time

import deltalake

what, path = sys.argv[1:3]


def compact(table):
    table.optimize.compact()
    return {}


def constrain(table):
    table.alter.add_constraint({"foreign": "partition >= 0"})
    return {}


def release(table):
    table.alter.drop_constraint("foreign", raise_if_not_exists=False)
    return {}


def positions(table):
    prefix, out = sys.argv[3], {}
    for partition in range(100):
        version = table.transaction_version(prefix + str(partition))
        if version is not None:
            out[str(partition)] = version
    return out


for attempt in range(100):
    try:
        print(json.dumps({"compact": compact, "constrain": constrain, "release": release, "positions": positions}[what](deltalake.DeltaTable(path))))
        break
    except deltalake.exceptions.DeltaError as e:  # another writer was faster
        if attempt == 99:
            raise SystemExit(f"{what}: {e}")
        time.sleep(0.05)
