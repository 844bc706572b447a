"""Fits of scikit-learn's Gaussian process to random cells, as a search does between two rounds.

usage: sklearn_fits.py CELLS.jsonl
Says {"ready": true} when the cells are read; answers every number of labels on standard input with
{"per_s": fits a second}: a fit of that many labels and the prediction of all cells, by the clock.
"""
import json
import sys
import time

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

rows = [json.loads(line) for line in open(sys.argv[1])]
y = np.array([row["label"] for row in rows])
columns = {}
entries = []
for row in rows:
    entries.append([(cell, place, edge) for cell in (0, 1) for place, edge in enumerate(row["cells"][cell])])
    for entry in entries[-1]:
        columns.setdefault(entry, len(columns))
x = np.zeros((len(rows), len(columns)))
for i, row in enumerate(entries):
    x[i, [columns[entry] for entry in row]] = 1
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    n = int(line)
    began = time.perf_counter()
    process = GaussianProcessRegressor(ConstantKernel() * Matern(nu=2.5, length_scale=3) + WhiteKernel(), normalize_y=True, random_state=1)
    process.fit(x[:n], y[:n]).predict(x, return_std=True)
    print(json.dumps({"per_s": 1 / (time.perf_counter() - began)}), flush=True)
