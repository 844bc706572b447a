#!/usr/bin/env python3
"""Makes vectors.json: inputs, outputs and gradients of small networks, by PyTorch 2.

    pip install torch && python make_vectors.py > vectors.json && python make_vectors.py attributes > attributed.json

attributed.json has attributes of operations and of the first graph, whose rows of the embedding come after those of
the operations.

Weights follow from their names. Linear weights are stored [in, out], the transpose of PyTorch's.
"""
import json
import math
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

ATTRIBUTED = sys.argv[1:] == ["attributes"]
ATTRIBUTES = [  # as archflow knows them, with the code of their row
    {"code": 6, "name": "width", "log": True, "centre": 4, "scale": 1.25},
    {"code": 7, "name": "bias", "centre": 0.5, "scale": 0.5},
    {"code": 8, "name": "act", "is_text": True, "text": "gelu"},
    {"code": 9, "whole": True, "name": "resolution", "centre": 200, "scale": 50},
] if ATTRIBUTED else []
WHOLE = -1
GIVEN = [  # for each graph, (node, name, number or text)
    [(WHOLE, "resolution", 224.0), (1, "width", 64.0), (2, "bias", 1.0), (2, "width", 16.0)],
    [(1, "act", "gelu"), (2, "width", 512.0), (3, "width", 8.0)],
    [],
    [(1, "bias", 0.0), (3, "act", "unheard of"), (3, "heads", 4.0)],
    [(WHOLE, "resolution", 96.0), (1, "act", "gelu"), (1, "width", 1e9)],
] if ATTRIBUTED else [[] for _ in GRAPHS]
ROWS = len(OPS) + 1 + len(ATTRIBUTES)


def multiplier(a, value):
    """By what the row of an attribute is multiplied."""
    if a.get("is_text"):
        return 1.0
    x = math.log(value) if a.get("log") else value
    return 4 * math.tanh((x - a["centre"]) / a["scale"] / 4)


def multipliers(g):
    """Of every row of the embedding, [nodes of graph g, ROWS]."""
    ops = GRAPHS[g][0]
    x = torch.zeros(len(ops), ROWS)
    for node, op in enumerate(ops):
        x[node, CODE.get(op, 0)] = 1
    for node, name, value in GIVEN[g]:
        for a in ATTRIBUTES:
            if a["name"] == name and (a["text"] == value if a.get("is_text") else not isinstance(value, str)):
                x[slice(None) if node == WHOLE else node, a["code"]] = multiplier(a, value)
    return x


codes = torch.cat([multipliers(g) for g in range(len(GRAPHS))])
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


directed, starts, at = [], [], 0
for ops, edges in GRAPHS:
    starts.append(range(at, at + len(ops)))
    directed += [(u + at, v + at) for u, v in edges]
    at += len(ops)
NODES = at
reached = torch.zeros(NODES, NODES, dtype=torch.bool)  # [from, to]
generation = [0] * NODES
for _ in range(NODES):
    for u, v in directed:
        reached[u, v] = True
        reached[:, v] |= reached[:, u]
        generation[v] = max(generation[v], generation[u] + 1)
same = graph.unsqueeze(0) == graph.unsqueeze(1)
eye = torch.eye(NODES, dtype=torch.bool)


class ResGated(nn.Module):
    dimension = WIDTH

    def __init__(self):
        super().__init__()
        self.operations = nn.Linear(ROWS, WIDTH, bias=False)
        self.layers = nn.ModuleList([nn.Linear(WIDTH, 4 * WIDTH) for _ in range(LAYERS)])

    def forward(self):
        x0 = x = self.operations(codes)
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
        self.operations = nn.Linear(ROWS, WIDTH, bias=False)
        self.layers = nn.ModuleList([perceptron(WIDTH, WIDTH, WIDTH) for _ in range(LAYERS)])
        self.eps = nn.ParameterList([nn.Parameter(torch.tensor([[0.1 * i]])) for i in range(LAYERS)])

    def forward(self):
        x, out = self.operations(codes), []
        for layer, eps in zip(self.layers, self.eps):
            x = torch.relu(layer(((1 + eps) * x).index_add(0, target, x[source])))
            out.append(pool(x))
        return torch.cat(out, 1)

    def slots(self):
        yield "operations", self.operations.weight.t()
        for i, (layer, eps) in enumerate(zip(self.layers, self.eps)):
            yield f"encoder.{i}.eps", eps
            yield from linears(f"encoder.{i}", layer)


class FlowAttention(nn.Module):
    """One direction of the flow encoder, with the published attention: over node, neighbour and edge type."""

    def __init__(self, against):
        super().__init__()
        self.against = against
        self.edge = nn.Embedding(1, WIDTH)
        self.edge_lin = nn.Linear(WIDTH, WIDTH)
        self.attention = nn.Linear(2 * WIDTH, 1)
        self.unit = nn.GRUCell(WIDTH, WIDTH)

    def forward(self, x):
        h = [None] * NODES
        edges = [(v, u) for u, v in directed] if self.against else directed
        edge = self.edge_lin(self.edge(torch.tensor(0)))
        for i in sorted(range(NODES), key=lambda i: -generation[i] if self.against else generation[i]):
            near = [u for u, v in edges if v == i]
            m = torch.zeros(WIDTH)
            if near:
                score = torch.cat([self.attention(torch.cat([x[i], h[j] + edge])) for j in near])
                m = torch.softmax(score, 0) @ torch.stack([h[j] for j in near])
            h[i] = self.unit(x[i].unsqueeze(0), m.unsqueeze(0))[0]
        return torch.stack(h)

    def slots(self, name):
        yield f"{name}.score", self.attention.weight[:, WIDTH:]
        yield f"{name}.in.weight", self.unit.weight_ih.t()
        yield f"{name}.in.bias", self.unit.bias_ih
        yield f"{name}.state.weight", self.unit.weight_hh.t()
        yield f"{name}.state.bias", self.unit.bias_hh


class Attention(nn.Module):
    HEADS = 2

    def __init__(self, mask, kinds=None):
        super().__init__()
        self.mask, self.kinds = mask, kinds
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH)
        if kinds is not None:
            self.bias = nn.Embedding(6, self.HEADS)

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(NODES, 3, self.HEADS, -1).permute(1, 2, 0, 3)
        bias = torch.zeros(self.HEADS, NODES, NODES) if self.kinds is None else self.bias(self.kinds).permute(2, 0, 1)
        y = F.scaled_dot_product_attention(q, k, v, bias.masked_fill(~self.mask, -math.inf))
        return self.out(y.transpose(0, 1).reshape(NODES, WIDTH))

    def slots(self, name):
        yield f"{name}.qkv.weight", self.qkv.weight.t()
        if self.kinds is not None:
            yield f"{name}.kind", self.bias.weight
        yield f"{name}.out.weight", self.out.weight.t()
        yield f"{name}.out.bias", self.out.bias


def norm_slots(name, norm):
    if isinstance(norm, nn.BatchNorm1d):
        yield f"{name}.mean", norm.running_mean
        yield f"{name}.variance", norm.running_var
    yield f"{name}.gain", norm.weight
    yield f"{name}.shift", norm.bias


class FlowerLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.along, self.against = FlowAttention(False), FlowAttention(True)
        self.attention = Attention(reached | reached.t() | eye)
        self.feed = perceptron(WIDTH, 2 * WIDTH, WIDTH)
        self.norms = nn.ModuleList([nn.BatchNorm1d(WIDTH) for _ in range(3)])

    def forward(self, x):
        flow = self.norms[0](x + torch.relu(self.against(self.along(x))))
        h = flow + self.norms[1](x + self.attention(x))
        return self.norms[2](h + self.feed(h))

    def slots(self, name):
        for part, norm in zip((".flow.norm", ".attention.norm", ".norm"), self.norms):
            yield from norm_slots(name + part, norm)
        yield from self.along.slots(name + ".along")
        yield from self.against.slots(name + ".against")
        yield from self.attention.slots(name + ".attention")
        yield from linears(name + ".feed", self.feed)


class TransformerLayer(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.attention = Attention(same, kinds)
        self.feed = perceptron(WIDTH, 2 * WIDTH, WIDTH)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(2)])

    def forward(self, x):
        h = self.norms[0](x + self.attention(x))
        return self.norms[1](h + self.feed(h))

    def slots(self, name):
        yield from norm_slots(name + ".attention.norm", self.norms[0])
        yield from norm_slots(name + ".norm", self.norms[1])
        yield from self.attention.slots(name + ".attention")
        yield from linears(name + ".feed", self.feed)


class Stack(nn.Module):
    """Layers on the embeddings of the operations, and the mean over the nodes."""

    dimension = WIDTH

    def __init__(self, layers, position=0):
        super().__init__()
        self.operations = nn.Linear(ROWS, WIDTH, bias=False)
        self.layers, self.position = nn.ModuleList(layers), position

    def forward(self):
        x = self.operations(codes) + self.position
        for layer in self.layers:
            x = layer(x)
        return pool(x)

    def slots(self):
        yield "operations", self.operations.weight.t()
        for i, layer in enumerate(self.layers):
            yield from layer.slots(f"encoder.{i}")


def flower():
    return Stack([FlowerLayer() for _ in range(LAYERS)])


def transformer():
    kinds = torch.full((NODES, NODES), 5)
    kinds[reached.t()] = 2
    kinds[reached] = 4
    for u, v in directed:
        kinds[v, u], kinds[u, v] = 1, 3
    kinds[eye] = 0
    angles = torch.tensor([[g * 10000 ** (-2 * (c // 2) / WIDTH) for c in range(WIDTH)] for g in generation])
    even = torch.arange(WIDTH) % 2 == 0
    return Stack([TransformerLayer(kinds) for _ in range(LAYERS)], torch.where(even, angles.sin(), angles.cos()))


class DirectedLayer(nn.Module):
    def __init__(self, laplacian):
        super().__init__()
        self.laplacian, self.linear = laplacian, nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return torch.relu(self.linear(self.laplacian @ x))

    def slots(self, name):
        yield f"{name}.weight", self.linear.weight.t()
        yield f"{name}.bias", self.linear.bias


def directed_gcn(teleport=0.1):
    """The walk's share of time is the eigenvector of its matrix, one graph at a time."""
    laplacian = torch.zeros(NODES, NODES, dtype=torch.float64)
    for rows in starts:
        n, first = len(rows), rows[0]
        walk = torch.eye(n, dtype=torch.float64)
        for u, v in directed:
            if u in rows:
                walk[u - first, v - first] = 1
        walk /= walk.sum(1, keepdim=True)
        back = torch.zeros(n + 1, n + 1, dtype=torch.float64)
        back[:n, :n], back[:n, n], back[n, :n] = (1 - teleport) * walk, teleport, 1 / n
        values, vectors = torch.linalg.eig(back.t())
        share = vectors[:n, values.real.argmax()].real.abs().sqrt()
        half = share.unsqueeze(1) * walk / share.unsqueeze(0)
        laplacian[first:first + n, first:first + n] = (half + half.t()) / 2
    return Stack([DirectedLayer(laplacian.float()) for _ in range(LAYERS)])


class Flat(nn.Module):
    """A perceptron on padded one-hot operations and adjacency, in the canonical order of the nodes."""

    dimension = WIDTH
    PLACES = 32
    ORDER = [[0, 1, 2, 3] if ATTRIBUTED else [0, 2, 1, 3], [0, 1, 3, 2, 4], [0], [0, 3, 4, 1, 2], [0, 1, 2]]

    def __init__(self):
        super().__init__()
        n = self.PLACES
        self.operations = nn.Linear(ROWS, WIDTH, bias=False)
        self.place = nn.Parameter(torch.zeros(WIDTH, n * WIDTH))
        self.edge = nn.Linear(n * (n + 1) // 2, WIDTH)
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS - 1)])

    def forward(self):
        n = self.PLACES
        ops, edges = torch.zeros(len(GRAPHS), n, ROWS), torch.zeros(len(GRAPHS), n, n)
        for g, (names, pairs) in enumerate(GRAPHS):
            place = {node: p for p, node in enumerate(self.ORDER[g])}
            for node, row in enumerate(multipliers(g)):
                ops[g, place[node]] = row
            for u, v in pairs:
                edges[g, place[v], place[u]] = 1
        first = (self.operations.weight.t() @ self.place).reshape(ROWS, n, WIDTH).transpose(0, 1)
        low = torch.tril_indices(n, n)
        x = torch.relu(ops.flatten(1) @ first.reshape(-1, WIDTH) + self.edge(edges[:, low[0], low[1]]))
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x

    def slots(self):
        yield "operations", self.operations.weight.t()
        yield "encoder.0.place", self.place
        yield "encoder.0.bias", self.edge.bias
        yield "encoder.0.edge", self.edge.weight.t()
        for i, layer in enumerate(self.layers):
            yield f"encoder.{i + 1}.weight", layer.weight.t()
            yield f"encoder.{i + 1}.bias", layer.bias


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
    return [float(f"{x:.7g}") or 0 for x in t.detach().reshape(-1).tolist()]


def from_names(slots):
    """Weights that need no file: waves whose phase is the sum of the name's bytes."""
    with torch.no_grad():
        for name, t in slots:
            phase, middle = sum(name.encode()), 1.0 if name.endswith((".variance", ".gain")) else 0.0
            values = [middle + 0.5 * math.sin(phase + 12.9898 * i) for i in range(t.numel())]
            t.copy_(torch.tensor(values, dtype=torch.float64).reshape(t.shape))


def case(name, encoder, steps=False):
    flow, proxy = perceptron(encoder.dimension, 7, K), perceptron(encoder.dimension, 5, PROXIES)

    def slots():
        return list(encoder.slots()) + list(linears("flow", flow)) + list(linears("proxy", proxy))

    def values():
        return {n: flat(t) for n, t in slots() if steps or n.endswith((".mean", ".variance"))}

    from_names(slots())
    encoder.eval()
    answer = flat(encoder())
    encoder.train()
    z = encoder()
    s, p = flow(z), proxy(z)
    flow_loss = ((s - FLOW) ** 2).sum(1).mean()
    proxy_loss = sum(hinge(p[:, j], RANKED[:, j], 0.5) for j in range(PROXIES)) / PROXIES
    modules = nn.ModuleList([encoder, flow, proxy])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-2, weight_decay=0.1)
    (0.5 * flow_loss + 0.5 * proxy_loss).backward()
    names = [n for n, _ in slots()]
    gradients = {n: flat(t) for n, t in zip(names, gradient_slots(modules, slots)) if not n.endswith((".mean", ".variance"))}
    optimizer.step()
    once = values()
    optimizer.step()
    return {
        "encoder": name, "z": answer, "flow": flat(s), "proxy": flat(p),
        "flow_loss": flow_loss.item(), "proxy_loss": proxy_loss.item(), "gradients": gradients,
        "after_one_step": once, "after_two_steps_of_the_same_gradient": values() if steps else {},
    }


def gradient_slots(modules, slots):
    """The gradients in the order and orientation of the weights."""
    saved = [p.detach().clone() for p in modules.parameters()]
    with torch.no_grad():
        for p in modules.parameters():
            p.copy_(p.grad)
        out = [t.detach().clone() for _, t in slots()]
        for p, s in zip(modules.parameters(), saved):
            p.copy_(s)
    return out


def null(values):
    return [None if v != v else v for v in values]


def given(g):
    if not ATTRIBUTED:
        return {}
    return {"attributes": [{"node": n, "name": name, "text" if isinstance(v, str) else "number": v} for n, name, v in GIVEN[g]]}


if __name__ == "__main__":
    json.dump({
        "torch": torch.__version__.split("+")[0], "width": WIDTH, "layers": LAYERS, "k": K, "proxies": PROXIES, "operations": OPS, **({"attributes": ATTRIBUTES} if ATTRIBUTED else {}),
        "graphs": [{"ops": ops, "edges": [n for e in edges for n in e]} | given(g) for g, (ops, edges) in enumerate(GRAPHS)],
        "flow": flat(FLOW), "ranked": [null(RANKED[:, j].tolist()) for j in range(PROXIES)],
        "cases": [
            case("resgated", ResGated(), steps=not ATTRIBUTED), case("gin", GIN()), case("flowerformer", flower()),
            case("digcn", directed_gcn()), case("mlp", Flat()), case("transformer", transformer()),
        ],
    }, sys.stdout, separators=(",", ":"))
    print()
