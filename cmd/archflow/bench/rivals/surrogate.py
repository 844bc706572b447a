"""Flow surrogates in Python: one architecture at a time with numpy, as the method is usually written.

usage: surrogate.py TABLE.jsonl[.gz] K LIMIT
Says {"ready": true} when the table is read; answers every line on standard input with
{"per_s": architectures a second} of one pass over the table, by processor time.
"""
import gzip
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np

ALPHA = 0.5


def load(path, limit):
    opener = gzip.open if path.endswith(".gz") else open
    graphs = []
    with opener(path, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            graphs.append((row["ops"], row["edges"]))
            if len(graphs) == limit:
                break
    return graphs


class Flow:
    def __init__(self, graphs, k):
        random = np.random.default_rng(1)
        names = sorted({op for ops, _ in graphs for op in ops})
        self.rows = {name: random.normal(0, 0.1, k) for name in names}
        self.weights = random.normal(0, 0.1, (2 * k, k))
        self.start = random.uniform(0, 1, k)

    def state(self, op, message):
        mixed = np.maximum(np.concatenate((self.rows[op], message)) @ self.weights, 0)
        return ALPHA * message + (1 - ALPHA) * mixed

    def surrogate(self, ops, edges):
        """Every edge leads to a higher number, so that the numbers are an order to walk in."""
        before, after = [[] for _ in ops], [[] for _ in ops]
        for u, v in edges:
            before[v].append(u)
            after[u].append(v)
        forward, backward = [None] * len(ops), [None] * len(ops)
        for i, op in enumerate(ops):
            forward[i] = self.state(op, sum(forward[j] for j in before[i])) if before[i] else self.start
        for i in range(len(ops) - 1, -1, -1):
            backward[i] = self.state(ops[i], sum(backward[j] for j in after[i])) if after[i] else forward[i]
        return sum(b for i, b in enumerate(backward) if not before[i])


def main():
    graphs = load(sys.argv[1], int(sys.argv[3]))
    flow = Flow(graphs, int(sys.argv[2]))
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        for ops, edges in graphs:
            flow.surrogate(ops, edges)
        print(json.dumps({"per_s": len(graphs) / (time.process_time() - began)}), flush=True)


main()
