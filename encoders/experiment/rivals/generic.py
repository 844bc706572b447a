"""Rankings by generic regressors, on the splits that `archflow experiment --splits` takes.

    python generic.py TABLE --label NAME [--goal min] --splits FILE [--json]
    python generic.py TABLE --label NAME --draw 40 --seeds 1,2,3 > splits.json

The regressors are scikit-learn's random forest, Gaussian process (Matern 5/2 and noise) and ridge with a
cross-validated penalty. Features are the vector `numbers` of a row where it has one, otherwise hyperparameters, the
attributes of each place in the list of operations, one-hot operations by place, and edges; proxies are added as normal
quantiles of their ranks. Labels are normal quantiles of their ranks. --draw prints random splits for both programs:
so many rows to train, the rest to test. Needs numpy, scipy and scikit-learn.
"""

import argparse
import json
import sys
import warnings

import numpy as np
from scipy.stats import kendalltau, norm, rankdata
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV

from tables import read


def quantiles(values):
    """Normal quantiles of the ranks."""
    return norm.ppf((rankdata(values) - 0.5) / len(values))


def entries(row):
    """The numbers of a row by name, one-hot where they are words."""
    if "numbers" in row:
        return {("number", i): float(v) for i, v in enumerate(row["numbers"])}
    out = {}

    def put(key, value):
        if isinstance(value, list):
            for i, v in enumerate(value):
                put(key + (i,), v)
        elif isinstance(value, str):
            out[key + (value,)] = 1.0
        elif value is not None:
            out[key] = float(value)

    for name, value in row.get("hyperparameters", {}).items():
        put(("hyperparameter", name), value)
    for place, op in enumerate(row.get("ops", [])):
        members = op if isinstance(op, dict) else {"op": op}
        for name, value in members.items():
            put(("operation", place, name), value)
        put(("count", members["op"]), out.get(("count", members["op"]), 0.0) + 1)
    for u, v in row.get("edges", []):
        out[("edge", u, v)] = 1.0
    return out


def features(rows):
    """The standardised matrix of all rows; constant and repeated columns are left out."""
    numbers = [entries(row) for row in rows]
    names = sorted({key for one in numbers for key in one}, key=str)
    columns = [[one.get(name, 0.0) for one in numbers] for name in names]
    for proxy in sorted({name for row in rows for name in row.get("proxies", {})}):
        values = np.array([row.get("proxies", {}).get(proxy, np.nan) for row in rows], float)
        known = np.isfinite(values)
        column = np.zeros(len(rows))
        if known.any():
            column[known] = quantiles(values[known])
        columns += [column, known.astype(float)]
    x = np.array(columns).T
    x = np.unique(x[:, x.std(0) > 1e-12], axis=1)
    return (x - x.mean(0)) / x.std(0)


def regressors(width):
    kernel = ConstantKernel(1) * Matern(np.sqrt(width), (0.3, 1e3), nu=2.5) + WhiteKernel(0.1)
    return {
        "forest": lambda: RandomForestRegressor(300, random_state=0),
        "process": lambda: GaussianProcessRegressor(kernel, random_state=0),
        "ridge": lambda: RidgeCV(np.logspace(-2, 3, 20)),
    }


def precision(predicted, truth, share):
    k = int(len(truth) * share)
    if k == 0:
        return float("nan")
    return len(set(np.argsort(-predicted)[:k]) & set(np.argsort(-truth)[:k])) / k


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("table")
    a.add_argument("--label", required=True)
    a.add_argument("--goal", choices=["max", "min"], default="max")
    a.add_argument("--splits")
    a.add_argument("--draw", type=int)
    a.add_argument("--seeds", default="1,2,3")
    a.add_argument("--json", action="store_true")
    o = a.parse_args()
    warnings.filterwarnings("ignore")
    rows = read(o.table)
    labelled = [i for i, row in enumerate(rows) if row["labels"].get(o.label) is not None]
    if o.draw:
        splits = []
        for seed in map(int, o.seeds.split(",")):
            order = np.random.RandomState(seed).permutation(labelled).tolist()
            splits.append({"seed": seed, "train": order[: o.draw], "validate": [], "test": order[o.draw :]})
        json.dump(splits, sys.stdout)
        return
    if not o.splits:
        a.error("give --splits FILE, or --draw N to make one")
    with open(o.splits) as file:
        splits = json.load(file)
    y = np.full(len(rows), np.nan)
    for i in labelled:
        y[i] = rows[i]["labels"][o.label] * (-1 if o.goal == "min" else 1)
    x = features(rows)
    for name, make in regressors(x.shape[1]).items():
        runs = []
        for split in splits:
            train = split["train"] + split.get("validate", [])
            test = split["test"]
            predicted = make().fit(x[train], quantiles(y[train])).predict(x[test])
            tau = kendalltau(predicted, y[test]).statistic
            runs.append({"seed": split["seed"], "tau": tau, "p1": precision(predicted, y[test], 0.01), "p5": precision(predicted, y[test], 0.05)})
        if o.json:
            print(json.dumps({"predictor": name, "label": o.label, "runs": runs}))
            continue
        tau = np.array([run["tau"] for run in runs])
        spread = tau.std(ddof=1) if len(runs) > 1 else 0.0
        print(f"{name:8} tau {tau.mean():.3f} ({spread:.3f})  P@5 {100 * np.mean([run['p5'] for run in runs]):.1f}  runs {' '.join(f'{t:.3f}' for t in tau)}")


if __name__ == "__main__":
    main()
