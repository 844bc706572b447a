"""NAS-Bench-201 as the examples search it: six operations of a cell, one result each.

TABLE is a file of rows {"arch": ..., "labels": {TASK: ...}}, one a line, .gz or not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import pathlib
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import archflow

OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
EDGES = [f"op{i}" for i in range(6)]


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as a candidate."""
    o = [config[e] for e in EDGES]
    return {"space": "nb201", "arch": f"|{o[0]}~0|+|{o[1]}~0|{o[2]}~1|+|{o[3]}~0|{o[4]}~1|{o[5]}~2|"}


def read(path: str, task: str) -> dict[str, float]:
    """Returns the results by architecture."""
    text = gzip.open(path, "rt") if path.endswith(".gz") else pathlib.Path(path).open()
    with text:
        rows = [json.loads(line.replace(":NaN", ":null")) for line in text]
    return {r["arch"]: r["labels"][task] for r in rows if r["labels"].get(task) is not None}


def compare(default: str, search: Callable[[dict[str, float], archflow.Client | None, int, int], list[float]]) -> None:
    """Runs a search(results, client, seed, trials) with archflow and, without a client, with
    the package's default, and prints how far from the best their best were."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table")
    parser.add_argument("--task", default="cifar10_valid")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--only", choices=["archflow", "default"])
    options = parser.parse_args()
    results = read(options.table, options.task)
    for name in ("archflow", "default"):
        if options.only not in (None, name):
            continue
        regrets = []
        for seed in range(options.seeds):
            if name == "default":
                found = search(results, None, seed, options.trials)
            else:
                with archflow.start() as server:
                    found = search(results, server.client, seed, options.trials)
            if len(found) != options.trials:
                raise SystemExit(f"{name}: {len(found)} of {options.trials} trials ended")
            regrets.append(max(results.values()) - max(found))
        label = "archflow" if name == "archflow" else default
        each = " ".join(f"{r:.2f}" for r in regrets)
        print(f"{label}: regret {statistics.mean(regrets):.3f} after {options.trials} trials, mean of {options.seeds} seeds ({each})", flush=True)
