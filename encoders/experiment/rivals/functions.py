"""Tables of four spaces whose labels are a function of the candidate and noise.

    python functions.py sizes|language|mobile|branches [--rows 400] [--seed 1] > TABLE

sizes: hyperparameters alone, a depth and a width for each of four stages, resolution, activation.
language: layers with heads, a feed-forward width and a kind of attention; learning rate and dropout; less is better.
mobile: blocks with kernel, expansion, channels and stride, and a width multiplier.
branches: one to four branches of convolutions and pooling between input and output.

Needs numpy.
"""

import argparse
import json

import numpy as np


def sizes(r):
    depths = [int(d) for d in r.integers(1, 7, 4)]
    widths = [int(r.choice([32, 48, 64, 96, 128])) * 2**stage for stage in range(4)]
    resolution = int(r.choice([96, 128, 160, 192, 224]))
    act = str(r.choice(["relu", "gelu", "swish"]))
    flops = sum(d * (w / 64) ** 2 / 4**s for s, (d, w) in enumerate(zip(depths, widths))) * (resolution / 160) ** 2
    accuracy = 76 + 3 * np.log(flops / 8) + 2.5 * np.log(resolution / 160) - 0.3 * np.log(flops / 8) ** 2
    accuracy += {"relu": -1, "gelu": 0.3, "swish": 0.5}[act] - 0.15 * (depths[0] - 3) ** 2
    return {
        "hyperparameters": {"depths": depths, "widths": widths, "resolution": resolution, "act": act},
        "labels": {"accuracy": accuracy + r.normal(0, 0.4)},
    }


def language(r):
    layers, ops, cost = int(r.integers(2, 9)), ["input"], 0.0
    width = int(r.choice([128, 192, 256, 384, 512]))
    linear = 0
    for _ in range(layers):
        heads, ratio = int(r.choice([2, 4, 8, 16])), float(r.choice([1, 2, 3, 4]))
        attention = str(r.choice(["full", "window", "linear"]))
        ops.append({"op": "layer", "heads": heads, "ratio": ratio, "attention": attention})
        cost += (4 + 2 * ratio) * (width / 256) ** 2 - 0.3 * abs(np.log2(width / heads / 48))
        linear += attention == "linear"
    rate, dropout = float(10 ** r.uniform(-4, -2)), float(round(r.uniform(0, 0.4), 2))
    loss = 4 - 0.45 * np.log(max(cost, 1)) + 0.5 * linear / layers + 2 * max(dropout - 0.15, 0)
    loss += 0.5 * (np.log10(rate) - (-3 - 0.25 * np.log2(width / 256))) ** 2
    return {
        "ops": ops + ["output"],
        "hyperparameters": {"width": width, "learning_rate": float(f"{rate:.3g}"), "dropout": dropout},
        "labels": {"loss": loss + r.normal(0, 0.04)},
    }


def mobile(r):
    ops, flops, reach, side = ["input"], 0.0, 0.0, 1.0
    multiplier = float(r.choice([0.5, 0.75, 1, 1.25]))
    before = 16.0
    for block in range(int(r.integers(5, 10))):
        kernel, expansion = int(r.choice([3, 5, 7])), int(r.choice([1, 3, 4, 6]))
        channels, stride = int(r.choice([16, 24, 40, 80])), int(r.choice([1, 1, 2])) if block < 4 else 1
        ops.append({"op": "mbconv", "kernel": kernel, "expansion": expansion, "channels": channels, "stride": stride})
        side /= stride
        hidden = before * expansion * multiplier
        flops += side**2 * hidden * (kernel**2 + before * multiplier + channels * multiplier)
        reach += (kernel - 1) / side
        before = channels
    accuracy = 65 + 2.5 * np.log(flops / 1e4) + 1.5 * np.log1p(reach) - 0.8 * abs(np.log(side / 0.25))
    return {
        "ops": ops + ["output"],
        "hyperparameters": {"width": multiplier},
        "labels": {"accuracy": accuracy + r.normal(0, 0.4), "latency": (2 + flops / 2e4 + 0.3 * len(ops)) * np.exp(r.normal(0, 0.03))},
    }


def branches(r):
    ops, edges, quality, kinds = ["input"], [], 0.0, set()
    count = int(r.integers(1, 5))
    ends = []
    for _ in range(count):
        last, own = 0, 0.0
        for _ in range(int(r.integers(1, 4))):
            if r.random() < 0.7:
                kernel, channels = int(r.choice([1, 3, 5])), int(r.choice([16, 32, 64]))
                ops.append({"op": "conv", "kernel": kernel, "channels": channels})
                own += np.log2(channels / 8) * {1: 0.5, 3: 1, 5: 1.1}[kernel]
                kinds.add(kernel)
            else:
                ops.append({"op": str(r.choice(["max_pool", "avg_pool"])), "kernel": 3})
                own += 0.2 if ops[-1]["op"] == "avg_pool" else 0.5
                kinds.add(ops[-1]["op"])
            edges.append([last, len(ops) - 1])
            last = len(ops) - 1
        ends.append(last)
        quality += np.sqrt(own)
    edges += [[end, len(ops)] for end in ends]
    accuracy = 80 + 4 * np.log(quality) + 0.8 * len(kinds) + r.normal(0, 0.4)
    return {"ops": ops + ["output"], "edges": edges, "labels": {"accuracy": accuracy}}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("space", choices=["sizes", "language", "mobile", "branches"])
    a.add_argument("--rows", type=int, default=400)
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    r = np.random.default_rng(o.seed)
    for i in range(o.rows):
        row = {"space": o.space, "id": f"{o.space}-{i}"} | globals()[o.space](r)
        if o.space in ("language", "mobile"):
            row["edges"] = [[k, k + 1] for k in range(len(row["ops"]) - 1)]
        row["labels"] = {name: round(value, 4) for name, value in row["labels"].items()}
        print(json.dumps(row))


if __name__ == "__main__":
    main()
