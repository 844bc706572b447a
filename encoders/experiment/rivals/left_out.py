"""Splits whose training rows lack something that their test rows have, and tables with noise.

    python left_out.py TABLE --label NAME --draw 48 --seeds 1,2,3 --leave 'learning_rate<2e-4' > SPLITS
    python left_out.py TABLE --noise 1 > TABLE_WITH_NOISE

A condition compares (<, >, =) a hyperparameter, an attribute of any operation, `op`, `nodes`, or `branches`, the
largest number of edges into a node, with a number or a text. Splits are for `archflow experiment --splits`, whose
share of labels held by intervals is then that of what was left out. --noise adds so many hyperparameters whose
values are drawn evenly.
"""

import argparse
import json
import re
import sys
from collections import Counter

import numpy as np

from tables import read


def values(row, name):
    """What a row has under a name."""
    if name == "nodes":
        return [len(row["ops"])]
    if name == "branches":
        return [max(Counter(v for _, v in row["edges"]).values())]
    out = row.get("hyperparameters", {}).get(name, [])
    out = list(out) if isinstance(out, list) else [out]
    for op in row.get("ops", []):
        members = op if isinstance(op, dict) else {"op": op}
        if name in members:
            out.append(members[name])
    return out


def having(condition):
    name, sign, bound = re.fullmatch(r"(\w+)([<>=])(.+)", condition).groups()
    try:
        bound = float(bound)
    except ValueError:
        pass
    holds = {"<": lambda v: v < bound, ">": lambda v: v > bound, "=": lambda v: v == bound}[sign]
    return lambda row: any(holds(v) for v in values(row, name))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("table")
    a.add_argument("--label")
    a.add_argument("--draw", type=int, default=48)
    a.add_argument("--seeds", default="1,2,3")
    a.add_argument("--leave")
    a.add_argument("--noise", type=int, default=0)
    o = a.parse_args()
    rows = read(o.table)
    if o.noise:
        r = np.random.default_rng(int(o.seeds.split(",")[0]))
        for row in rows:
            row.setdefault("hyperparameters", {}).update({f"noise_{k}": round(r.uniform(), 4) for k in range(o.noise)})
            print(json.dumps(row))
        return
    has = having(o.leave)
    labelled = [i for i, row in enumerate(rows) if row["labels"].get(o.label) is not None]
    test = [i for i in labelled if has(rows[i])]
    rest = [i for i in labelled if not has(rows[i])]
    splits = []
    for seed in map(int, o.seeds.split(",")):
        order = np.random.RandomState(seed).permutation(rest).tolist()
        splits.append({"seed": seed, "train": order[: o.draw], "validate": [], "test": test})
    json.dump(splits, sys.stdout)


if __name__ == "__main__":
    main()
