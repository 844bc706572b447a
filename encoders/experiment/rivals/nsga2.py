"""NSGA-II of pymoo as a search of two labels on nb201, beside `archflow experiment --suite search --label A,B`.

    python nsga2.py TABLE --label A,B --goal max,min [--budget 150] [--population 10,20,30] [--seeds 5]

A genotype is the six operations of a cell; it is worth what the first row of the table with the same pruned network
has. A trial is a network that was not trained before, and what is printed is the share of the table's hypervolume,
above its worst values, that is missing after 50, 100 and 150 trials: mean and standard deviation over seeds, and the
same of random trials. Needs numpy and pymoo.
"""

import argparse
import gzip
import hashlib
import json
import random

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import ElementwiseProblem
from pymoo.indicators.hv import HV
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


class Spent(Exception):
    pass


def genotype(arch):
    return tuple(OPS.index(op.split("~")[0]) for op in arch.replace("+", "").split("|") if op)


def network(ops, edges):
    """A name of the pruned network that does not depend on the order of its nodes."""

    def reach(start, edges):
        seen = {start}
        for _ in ops:
            seen |= {v for u, v in edges if u in seen}
        return seen

    edges = [(u, v) for u, v in edges if "none" not in (ops[u], ops[v])]
    alive = reach(0, edges) & reach(len(ops) - 1, [(v, u) for u, v in edges])
    edges = [(u, v) for u, v in edges if u in alive and v in alive]
    names = [op if i in alive else "" for i, op in enumerate(ops)]
    for _ in range(len(ops)):
        into, out = ([sorted(names[e[1 - end]] for e in edges if e[end] == i) for i in range(len(ops))] for end in (1, 0))
        names = [hashlib.md5(repr(around).encode()).hexdigest() for around in zip(names, into, out)]
    return tuple(sorted(names[i] for i in alive))


def read(path, labels, goals):
    sign = np.array([-1.0 if goal == "max" else 1.0 for goal in goals])  # pymoo minimises
    networks, values, first = {}, [], {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            key = network(row["ops"], row["edges"])
            if key not in first:
                first[key] = len(values)
                values.append(sign * np.array([row["labels"][label] for label in labels]))
            networks[genotype(row["arch"])] = first[key]
    return networks, np.array(values)


class Table:
    """Counts trials and keeps what they dominate."""

    def __init__(self, networks, values, budget):
        self.networks, self.values, self.budget = networks, values, budget
        self.order, self.trained = [], set()

    def train(self, n):
        if n not in self.trained:
            if len(self.order) >= self.budget:
                raise Spent
            self.trained.add(n)
            self.order.append(n)
        return self.values[n]

    def missing(self, n):
        worst = self.values.max(axis=0)
        volume = HV(ref_point=worst)
        return 1 - volume(self.values[self.order[:n]]) / volume(self.values)


class Search(ElementwiseProblem):
    def __init__(self, table):
        super().__init__(n_var=6, n_obj=2, xl=0, xu=len(OPS) - 1, vtype=int)
        self.table = table

    def _evaluate(self, x, out, *args, **kwargs):
        out["F"] = self.table.train(self.table.networks[tuple(int(v) for v in x)])


def nsga2(table, population, seed):
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(),
        mutation=PM(prob=1.0, prob_var=1 / 6, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    try:
        minimize(Search(table), algorithm, ("n_gen", 1000), seed=seed)
    except Spent:
        pass


def chance(table, seed):
    order = list(range(len(table.values)))
    random.Random(seed).shuffle(order)
    for n in order[: table.budget]:
        table.train(n)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--label", required=True)
    parser.add_argument("--goal", default="max,min")
    parser.add_argument("--budget", type=int, default=150)
    parser.add_argument("--population", default="10,20,30")
    parser.add_argument("--seeds", type=int, default=5)
    a = parser.parse_args()
    networks, values = read(a.table, a.label.split(","), a.goal.split(","))
    ways = [(f"NSGA-II of {p}", lambda t, s, p=int(p): nsga2(t, p, s)) for p in a.population.split(",")]
    print(f"{len(values)} networks; hypervolume missing after 50, 100, {a.budget} trials, {a.seeds} seeds")
    for name, way in [("random", chance), *ways]:
        found = []
        for seed in range(1, a.seeds + 1):
            table = Table(networks, values, a.budget)
            way(table, seed)
            found.append([table.missing(n) for n in (50, 100, a.budget)])
        found = np.array(found)
        spread = found.std(axis=0, ddof=1) if a.seeds > 1 else np.zeros(3)
        print(f"{name:16}", "  ".join(f"{m:.4f} ±{s:.4f}" for m, s in zip(found.mean(axis=0), spread)))


if __name__ == "__main__":
    main()
