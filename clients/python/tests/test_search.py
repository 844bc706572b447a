"""Searches over HTTP that pick by /api/best, and how long each of their rounds waits for a model.

As a program, `python test_search.py nb201.jsonl.gz`, it searches a benchmark table with
archflow's own settings and prints seconds, and of the server's processor time where the
system tells it. As a test it searches made-up results of cells and asserts no time.
"""

import gzip
import json
import os
import pathlib
import random
import statistics
import sys
import time

import archflow

PLANS = {"6 rounds of 20": [20] * 6, "13 rounds of 10": [20] + [10] * 13}


def search(client, space, task, candidates, results, rounds, clock=lambda: 0.0):
    """Publishes candidates and labels, round after round; returns what each round waited.

    Every answer of /api/best that a round picks by knows all labels told before it.
    """
    rng = random.Random(len(rounds))
    client.publish(candidates)
    known, waits = {}, []
    picked = rng.sample([c for c in candidates if c["id"] in results], rounds[0])
    for n in [*rounds[1:], 0]:
        client.tell([{"space": space, "id": c["id"], "task": task, "value": results[c["id"]]} for c in picked])
        known.update((c["id"], results[c["id"]]) for c in picked)
        began, busy = time.monotonic(), clock()
        best = client.best(space, task, k=len(known) + 4 * n + 10)
        waits.append((time.monotonic() - began, clock() - busy))
        models = {(c.get("model"), (c["tasks"].get(task) or {}).get("labels")) for c in best if "tasks" in c}
        learnt = {labels for _, labels in models}
        assert len(learnt) == 1 and None not in learnt, models
        assert client.models(space)[0]["learnt"]["archflow.labels/0"] >= sum(client._labels_end.values())
        fresh = [c for c in best if c["id"] in results and c["id"] not in known]
        picked = fresh[:n]
        rest = [c for c in candidates if c["id"] in results and c["id"] not in known and c not in picked]
        picked += rng.sample(rest, n - len(picked))
    return waits, max(known.values())


def processor_time(pid):
    """Seconds of processor time of a process, 0 where the system does not tell."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_every_round_knows_its_labels(client):
    from test_client import cells, worth

    candidates = [{**c, "id": f"search {c['id']}"} for c in cells(400, seed=11)]
    results = {c["id"]: float(worth(c)) for c in candidates}
    for name, rounds in PLANS.items():
        waits, best = search(client, "nb201", name, candidates, results, [max(n // 2, 5) if i else 20 for i, n in enumerate(rounds)])
        assert len(waits) == len(rounds) and best >= sorted(results.values())[-40]


def main(path):
    task, rows = "cifar10_test", [json.loads(line.replace(":NaN", ":null")) for line in gzip.open(path, "rt")]
    space = rows[0]["space"]
    results = {r["id"]: r["labels"][task] for r in rows if r["labels"].get(task) is not None}
    for name, rounds in PLANS.items():
        with archflow.start() as server:
            began = time.monotonic()
            waits, best = search(server.client, space, task, rows, results, rounds, lambda: processor_time(server.process.pid))
            seconds = [w for w, _ in waits]
            print(f"{name}: best {best:.2f} after {time.monotonic() - began:.1f} s; median wait {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
            for i, (wall, busy) in enumerate(waits):
                print(f"  round {i + 1:2d} waited {wall:6.2f} s, {busy:5.2f} s of processor time")


if __name__ == "__main__":
    main(sys.argv[1])
