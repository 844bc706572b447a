#!/usr/bin/env python3
"""Makes vectors.json: weights, inputs, outputs and gradients of small networks, by PyTorch 2.

    pip install torch && python make_vectors.py > vectors.json

Linear weights are stored [in, out], the transpose of PyTorch's.
"""
import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(1)
WIDTH, LAYERS, K, PROXIES = 6, 3, 4, 2
OPS = ["input", "conv", "pool", "skip", "output"]
GRAPHS = [
    (["input", "conv", "pool", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)]),
    (["input", "skip", "conv", "conv", "output"], [(0, 1), (1, 2), (0, 3), (2, 4), (3, 4), (1, 4)]),
    (["input"], []),
    (["input", "unheard of", "output", "pool", "output"], [(0, 1), (1, 2), (3, 4)]),
    (["input", "conv", "output"], [(0, 1), (1, 2), (0, 2)]),
]
CODE = {op: i + 1 for i, op in enumerate(OPS)}  # 0: unknown

codes = torch.tensor([CODE.get(op, 0) for ops, _ in GRAPHS for op in ops])
graph = torch.tensor([i for i, (ops, _) in enumerate(GRAPHS) for _ in ops])
pairs, at = [], 0
for ops, edges in GRAPHS:
    pairs += [(u + at, v + at) for u, v in edges] + [(v + at, u + at) for u, v in edges]
    at += len(ops)
source, target = torch.tensor(pairs).t()
counts = torch.bincount(graph).float().unsqueeze(1)


def pool(x):
    return torch.zeros(len(GRAPHS), x.shape[1]).index_add(0, graph, x) / counts


def perceptron(inputs, hidden, out):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, out))


class ResGated(nn.Module):
    dimension = WIDTH

    def __init__(self):
        super().__init__()
        self.operations = nn.Linear(len(OPS) + 1, WIDTH, bias=False)
        self.layers = nn.ModuleList([nn.Linear(WIDTH, 4 * WIDTH) for _ in range(LAYERS)])

    def forward(self):
        x0 = x = self.operations(F.one_hot(codes, len(OPS) + 1).float())
        for layer in self.layers:
            k, q, v, s = layer(x).split(WIDTH, -1)
            message = torch.sigmoid(k[target] + q[source]) * v[source]
            c = s.index_add(0, target, message)
            x = torch.relu(0.2 * x0 + 0.8 * c)
        return pool(x)

    def slots(self):
        yield "operations", self.operations.weight.t()
        for i, layer in enumerate(self.layers):
            yield f"encoder.{i}.weight", layer.weight.t()
            yield f"encoder.{i}.bias", layer.bias


class GIN(nn.Module):
    dimension = WIDTH * LAYERS

    def __init__(self):
        super().__init__()
        self.operations = nn.Linear(len(OPS) + 1, WIDTH, bias=False)
        self.layers = nn.ModuleList([perceptron(WIDTH, WIDTH, WIDTH) for _ in range(LAYERS)])
        self.eps = nn.ParameterList([nn.Parameter(torch.tensor([[0.1 * i]])) for i in range(LAYERS)])

    def forward(self):
        x, out = self.operations(F.one_hot(codes, len(OPS) + 1).float()), []
        for layer, eps in zip(self.layers, self.eps):
            x = torch.relu(layer(((1 + eps) * x).index_add(0, target, x[source])))
            out.append(pool(x))
        return torch.cat(out, 1)

    def slots(self):
        yield "operations", self.operations.weight.t()
        for i, (layer, eps) in enumerate(zip(self.layers, self.eps)):
            yield f"encoder.{i}.eps", eps
            yield from linears(f"encoder.{i}", layer)


def linears(name, net):
    for i, layer in enumerate((net[0], net[2])):
        yield f"{name}.{i}.weight", layer.weight.t()
        yield f"{name}.{i}.bias", layer.bias


FLOW = torch.randn(len(GRAPHS), K)
NAN = float("nan")
RANKED = torch.tensor([[3.0, 1.0], [1.0, NAN], [2.0, 5.0], [2.0, 4.0], [7.0, NAN]])


def hinge(score, y, margin):
    losses = [F.relu(margin - (score[i] - score[j])) for i in range(len(y)) for j in range(len(y)) if y[i] > y[j]]
    return torch.stack(losses).mean()


def flat(t):
    return [float(f"{x:.9g}") for x in t.detach().reshape(-1).tolist()]


def case(name, encoder):
    flow, proxy = perceptron(encoder.dimension, 7, K), perceptron(encoder.dimension, 5, PROXIES)
    z = encoder()
    z.retain_grad()
    s, p = flow(z), proxy(z)
    flow_loss = ((s - FLOW) ** 2).sum(1).mean()
    proxy_loss = sum(hinge(p[:, j], RANKED[:, j], 0.5) for j in range(PROXIES)) / PROXIES
    slots = list(encoder.slots()) + list(linears("flow", flow)) + list(linears("proxy", proxy))
    weights = {n: flat(t) for n, t in slots}
    modules = nn.ModuleList([encoder, flow, proxy])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-2, weight_decay=0.1)
    (0.5 * flow_loss + 0.5 * proxy_loss).backward()
    gradients = dict(zip(weights, [flat(t) for t in gradient_slots(encoder, flow, proxy)]))
    optimizer.step()
    once = {n: flat(t) for n, t in list(encoder.slots()) + list(linears("flow", flow)) + list(linears("proxy", proxy))}
    optimizer.step()
    twice = {n: flat(t) for n, t in list(encoder.slots()) + list(linears("flow", flow)) + list(linears("proxy", proxy))}
    return {
        "encoder": name, "weights": weights, "z": flat(z), "flow": flat(s), "proxy": flat(p),
        "flow_loss": flow_loss.item(), "proxy_loss": proxy_loss.item(), "gradients": gradients,
        "after_one_step": once, "after_two_steps_of_the_same_gradient": twice,
    }


def gradient_slots(encoder, flow, proxy):
    """The gradients in the order and orientation of the weights."""
    modules = nn.ModuleList([encoder, flow, proxy])
    saved = [p.detach().clone() for p in modules.parameters()]
    with torch.no_grad():
        for p in modules.parameters():
            p.copy_(p.grad)
        out = [t.detach().clone() for _, t in list(encoder.slots()) + list(linears("flow", flow)) + list(linears("proxy", proxy))]
        for p, s in zip(modules.parameters(), saved):
            p.copy_(s)
    return out


def null(values):
    return [None if v != v else v for v in values]


if __name__ == "__main__":
    json.dump({
        "torch": torch.__version__.split("+")[0], "width": WIDTH, "layers": LAYERS, "k": K, "proxies": PROXIES, "operations": OPS,
        "graphs": [{"ops": ops, "edges": [n for e in edges for n in e]} for ops, edges in GRAPHS],
        "flow": flat(FLOW), "ranked": [null(RANKED[:, j].tolist()) for j in range(PROXIES)],
        "cases": [case("resgated", ResGated()), case("gin", GIN())],
    }, sys.stdout)
    print()
