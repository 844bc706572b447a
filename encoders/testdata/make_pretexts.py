#!/usr/bin/env python3
"""Makes pretexts.json: the pretexts' losses, outputs and gradients on a ResGatedGCN, by PyTorch 2.

    pip install torch && python make_pretexts.py > pretexts.json

Linear weights are stored [in, out], the transpose of PyTorch's.
"""
import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

import make_vectors as made
from make_vectors import GRAPHS, OPS, WIDTH, flat, linears, perceptron

torch.manual_seed(2)
LATENT, OUT = 3, 5
MASKED = {0, 2, 5, 8, 9, 11, 12, 17}  # nodes


def show(graphs, masked=()):
    """Gives the encoder of make_vectors these graphs, operations with a number in masked hidden."""
    made.GRAPHS = graphs
    ops = [made.CODE.get(op, 0) for names, _ in graphs for op in names]
    made.codes = torch.tensor([0 if i in masked else c for i, c in enumerate(ops)])
    made.graph = torch.tensor([i for i, (names, _) in enumerate(graphs) for _ in names])
    pairs, at = [], 0
    for names, edges in graphs:
        pairs += [(u + at, v + at) for u, v in edges] + [(v + at, u + at) for u, v in edges]
        at += len(names)
    made.source, made.target = torch.tensor(pairs).t()
    made.counts = torch.bincount(made.graph).float().unsqueeze(1)
    return torch.tensor(ops)


def contrast(p):
    u = F.normalize(p)
    like = (u @ u.t() / 0.2).fill_diagonal_(float("-inf"))
    return F.cross_entropy(like, torch.arange(len(p)) ^ 1)


def masked(logits, codes):
    wanted = torch.tensor(codes)
    at = wanted >= 0
    return F.cross_entropy(logits[at], wanted[at])


def variational(output, readout, noise, codes):
    mean, variance = output.split(LATENT, 1)
    latent = mean + torch.exp(variance / 2) * noise
    loss = F.cross_entropy(readout(latent), codes)
    costs, at = [], 0
    for names, edges in made.GRAPHS:
        joined = {(u, v) for u, v in edges}
        for j in range(len(names)):
            for i in range(j):
                truth = torch.tensor(float((i, j) in joined or (j, i) in joined))
                costs.append(F.binary_cross_entropy_with_logits(latent[at + i] @ latent[at + j], truth))
        at += len(names)
    divergence = -0.5 * (1 + variance - mean**2 - variance.exp()).sum(1).mean()
    return loss + torch.stack(costs).mean() + 0.01 * divergence


def case(name, decoder, loss, graphs, readout=None, nodewise=False, **more):
    encoder = made.ResGated()
    modules = nn.ModuleList([m for m in (encoder, decoder[1], readout) if m is not None])

    def slots():
        yield from encoder.slots()
        yield from linears(*decoder)
        if readout is not None:
            yield "readout.weight", readout.weight.t()
            yield "readout.bias", readout.bias

    pooling = made.pool
    if nodewise:
        made.pool = lambda x: x
    output = decoder[1](encoder())
    made.pool = pooling
    value = loss(output)
    value.backward()
    weights = {n: flat(t) for n, t in slots()}
    with torch.no_grad():  # the gradients, in the orientation of the weights
        for p in modules.parameters():
            p.copy_(p.grad)
    return {
        "pretext": name, "decoder": [decoder[1][0].out_features, decoder[1][2].out_features],
        "graphs": [{"ops": ops, "edges": [n for e in edges for n in e]} for ops, edges in graphs],
        "weights": weights, "output": flat(output), "loss": value.item(), "gradients": {n: flat(t) for n, t in slots()}, **more,
    }


cases = []
views = [g for i, g in enumerate(GRAPHS) for g in (g, GRAPHS[(i + 1) % len(GRAPHS)])]
show(views)
cases.append(case("graphcl", ("contrast", perceptron(WIDTH, 7, OUT)), contrast, views))
hidden = [c if i in MASKED else -1 for i, c in enumerate(show(GRAPHS, MASKED).tolist())]
cases.append(case("gmae", ("masked", perceptron(WIDTH, 7, len(OPS) + 1)), lambda out: masked(out, hidden), GRAPHS, nodewise=True, hidden=hidden))
codes = show(GRAPHS)
noise = torch.randn(len(codes), LATENT)
readout = nn.Linear(LATENT, len(OPS) + 1)
cases.append(case("arch2vec", ("latent", perceptron(WIDTH, 7, 2 * LATENT)),
                  lambda out: variational(out, readout, noise, codes), GRAPHS, readout, True, noise=flat(noise)))
json.dump({"torch": torch.__version__.split("+")[0], "width": WIDTH, "layers": made.LAYERS, "operations": OPS, "cases": cases}, sys.stdout)
print()
