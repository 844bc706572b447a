"""A predictor with the methods of NASLib's, as its predictor evaluation uses them, on
NAS-Bench-201: fit on some architectures, query others. The default of that evaluation is a
boosted ensemble of trees on one-hot encoded adjacency: python naslib_nb201.py TABLE"""

import argparse
import random
import statistics

import numpy
import xgboost
from scipy.stats import kendalltau

import archflow
import archflow.naslib
from nb201 import OPS, read


class Trees:
    """Boosted trees on one-hot encoded cells."""

    def encode(self, cells):
        return numpy.array([[name == op for edge in cell.replace("+", "").split("|") if edge for op in [edge.partition("~")[0]] for name in OPS] for cell in cells], dtype=float)

    def fit(self, xtrain, ytrain):
        self.model = xgboost.XGBRegressor().fit(self.encode(xtrain), ytrain)

    def query(self, xtest):
        return self.model.predict(self.encode(xtest))


def evaluate(predictor, results, seed, train, test=1000):
    """Returns Kendall's tau on architectures that the predictor has not been given."""
    cells = random.Random(seed).sample(sorted(results), train + test)
    predictor.fit(cells[:train], [results[c] for c in cells[:train]])
    return kendalltau(predictor.query(cells[train:]), [results[c] for c in cells[train:]])[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("table")
    parser.add_argument("--task", default="cifar10_valid")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=100)
    options = parser.parse_args()
    results = read(options.table, options.task)
    ours, theirs = [], []
    for seed in range(options.seeds):
        with archflow.start() as server:
            ours.append(evaluate(archflow.naslib.Predictor("nb201", client=server.client), results, seed, options.train))
        theirs.append(evaluate(Trees(), results, seed, options.train))
    for name, taus in ("archflow", ours), ("boosted trees", theirs):
        each = " ".join(f"{t:.3f}" for t in taus)
        print(f"{name}: tau {statistics.mean(taus):.3f} after {options.train} trainings, mean of {options.seeds} seeds ({each})")
