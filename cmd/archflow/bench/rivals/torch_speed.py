"""The same predictor in PyTorch: pre-training steps and inference of a residual gated graph network.

usage: torch_speed.py TABLE.jsonl.gz WIDTH THREADS
Says {"torch": version, "variants": [...]} when the table is read. A line "train VARIANT SECONDS" or
"infer VARIANT SECONDS" on standard input is answered with {"per_s": architectures a second}, the
median step of so many seconds, or with {"error": ...}. Batches are made beforehand and not timed.

  shared    all graphs have the same edges: one tensor, the fastest eager form
  compiled  shared, by torch.compile
  listed    any graphs: nodes of a batch below each other, messages by index_add
  pyg       any graphs: torch_geometric's ResGatedGraphConv, when it is installed
"""
import gzip
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import torch
from torch import nn

LAYERS, K, TRAIN, INFER, BATCHES = 3, 7, 256, 2048, 12
path, width, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)


def load():
    graphs, proxies = [], []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            ops, edges = list(row["ops"]), [tuple(e) for e in row["edges"]]
            if "ops_reduce" in row:
                shift = len(ops)
                ops += ["reduce:" + op for op in row["ops_reduce"]]
                edges += [(u + shift, v + shift) for u, v in row["edges_reduce"]]
            graphs.append((ops, edges))
            known = row.get("proxies") or {}
            proxies.append(float(known.get("params") or known.get("flops") or 0))
    return graphs, torch.tensor(proxies)


graphs, proxies = load()
names = {op: i for i, op in enumerate(sorted({op for ops, _ in graphs for op in ops}))}
same = all(edges == graphs[0][1] and len(ops) == len(graphs[0][0]) for ops, edges in graphs)
torch.manual_seed(1)
flows = torch.randn(len(graphs), K)
order = torch.randperm(len(graphs)).tolist()


def coded(ops):
    return nn.functional.one_hot(torch.tensor([names[op] for op in ops]), len(names)).float()


def both_ways(edges):
    pairs = torch.tensor(edges)
    return torch.cat((pairs, pairs.flip(1))).t().contiguous()


class Gated(nn.Module):
    """One layer; nodes are the second dimension from the end, edges index them."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(width, 4 * width)

    def forward(self, x, edges):
        key, query, value, own = self.linear(x).chunk(4, -1)
        source, target = edges[0], edges[1]
        gate = torch.sigmoid(key.index_select(-2, target) + query.index_select(-2, source))
        return own.index_add(own.dim() - 2, target, gate * value.index_select(-2, source))


class Predictor(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.first = nn.Linear(len(names), width)
        self.layers = nn.ModuleList(layer() for _ in range(LAYERS))
        self.flow = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, K))
        self.proxy = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 1))
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.dropout = nn.Dropout(0.1)

    def embed(self, x, edges, graph=None, count=None):
        start = state = self.first(x)
        for layer in self.layers:
            state = self.dropout(torch.relu(0.2 * start + 0.8 * layer(state, edges)))
        if graph is None:
            return state.mean(1)
        sums = torch.zeros(len(count), width).index_add(0, graph, state)
        return sums / count[:, None]


def pairwise(scores, truth):
    left, right = torch.triu_indices(len(truth), len(truth), 1)
    sign = torch.sign(truth[left] - truth[right])
    return ((0.5 - sign * (scores[left] - scores[right])).clamp(min=0) * (sign != 0)).mean()


def batch_of(rows, shared):
    if shared:
        return torch.stack([coded(graphs[i][0]) for i in rows]), both_ways(graphs[0][1])
    ops, edges, graph, count = [], [], [], []
    for at, i in enumerate(rows):
        shift = len(ops)
        ops += graphs[i][0]
        edges += [(u + shift, v + shift) for u, v in graphs[i][1]]
        graph += [at] * len(graphs[i][0])
        count.append(len(graphs[i][0]))
    return coded(ops), both_ways(edges), torch.tensor(graph), torch.tensor(count).float()


class Variant:
    def __init__(self, name):
        layer = Gated
        if name == "pyg":
            from torch_geometric.nn import ResGatedGraphConv
            layer = lambda: ResGatedGraphConv(width, width)
        self.net = net = Predictor(layer)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-6)
        shared = name in ("shared", "compiled")
        self.batches = {}
        for kind, size in (("train", TRAIN), ("infer", INFER)):
            cuts = [order[at:at + size] for at in range(0, min(len(order), BATCHES * size), size)]
            self.batches[kind] = [(batch_of(c, shared), flows[c], proxies[c]) for c in cuts if len(c) == size]

        def loss(batch, flow, proxy):
            z = net.embed(*batch)
            return 0.5 * ((net.flow(z) - flow) ** 2).sum(1).mean() + 0.5 * pairwise(net.proxy(z)[:, 0], proxy)

        def score(batch):
            return net.head(net.embed(*batch))[:, 0]

        self.loss, self.score = (torch.compile(loss), torch.compile(score)) if name == "compiled" else (loss, score)
        self.warm = set()

    def step(self, kind, i):
        batch, flow, proxy = self.batches[kind][i % len(self.batches[kind])]
        if kind == "train":
            self.optimizer.zero_grad()
            self.loss(batch, flow, proxy).backward()
            self.optimizer.step()
            return
        with torch.no_grad():
            self.score(batch)

    def rate(self, kind, seconds):
        self.net.train(kind == "train")
        if kind not in self.warm:
            self.warm.add(kind)
            for i in range(4):
                self.step(kind, i)
        times, began = [], time.perf_counter()
        while not times or time.perf_counter() - began < seconds:
            start = time.perf_counter()
            self.step(kind, len(times))
            times.append(time.perf_counter() - start)
        times.sort()
        return (TRAIN if kind == "train" else INFER) / times[len(times) // 2]


def main():
    variants = ["shared", "compiled"] if same else ["listed"]
    try:
        import torch_geometric
        variants.append("pyg")
    except ImportError:
        pass
    print(json.dumps({"torch": torch.__version__, "variants": variants}), flush=True)
    made = {}
    for line in sys.stdin:
        kind, name, seconds = line.split()
        try:
            if name not in made:
                made[name] = Variant(name)
            print(json.dumps({"per_s": made[name].rate(kind, float(seconds))}), flush=True)
        except Exception as error:
            print(json.dumps({"error": str(error)[:300]}), flush=True)


main()
