"""Each adapter with its real package, where that is installed."""

import functools
import random

import pytest

import archflow

OPS = ["none", "skip", "conv1", "conv3", "pool"]


def loss(config):
    return sum({"none": 3, "skip": 1, "conv1": 0.6, "conv3": 0.2, "pool": 2}[config[f"op{i}"]] * (i + 1) for i in range(6))


def test_optuna(client):
    optuna = pytest.importorskip("optuna")
    import archflow.optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def search(sampler):
        study = optuna.create_study(sampler=sampler, study_name=f"cells of {type(sampler).__name__}")
        study.optimize(lambda t: loss({f"op{i}": t.suggest_categorical(f"op{i}", OPS) for i in range(6)}), n_trials=40)
        return study

    ours = search(archflow.optuna.Sampler(client, seed=1))
    assert len(ours.trials) == 40
    assert ours.best_value <= search(optuna.samplers.RandomSampler(seed=1)).best_value


def test_the_advisor(client):
    from archflow.advisor import Advisor

    rng = random.Random(3)
    advisor = Advisor("advisor", client=client, startup=16, pool=64)
    for _ in range(32):
        config = advisor.suggest(lambda: {f"op{i}": rng.choice(OPS) for i in range(6)})
        advisor.tell(config, loss(config))
    advisor.tell({f"op{i}": "none" for i in range(6)}, None)
    assert min(advisor.values[16:]) <= min(advisor.values[:16])


def test_a_small_space_ends_with_repeats(recwarn):
    from archflow.advisor import Advisor

    class Untrained:
        def publish(self, candidates):
            list(candidates)

        def predict(self, candidates, fresh=True):
            return [{} for _ in candidates]

        def tell(self, label):
            pass

    rng = random.Random(4)
    advisor = Advisor("small", client=Untrained(), startup=4, pool=64)
    suggested = []
    for _ in range(12):
        config = advisor.suggest(lambda: {"op": rng.choice(OPS)})
        advisor.tell(config, float(len(config["op"])))
        suggested.append(config["op"])
    assert set(suggested) == set(OPS)
    assert len([w for w in recwarn if "repeated" in str(w.message)]) == 1


def test_ray(client):
    pytest.importorskip("ray.tune")
    from ray.tune.search.sample import Categorical

    import archflow.ray

    searcher = archflow.ray.Searcher(client, name="ray")
    assert searcher.set_search_properties("loss", "min", {f"op{i}": Categorical(OPS).uniform() for i in range(6)})
    for i in range(20):
        searcher.on_trial_complete(str(i), {"loss": loss(searcher.suggest(str(i)))})
    assert len(searcher._advisor.values) == 20


def test_synetune(client):
    pytest.importorskip("syne_tune")
    from syne_tune.config_space import choice

    import archflow.synetune

    searcher = archflow.synetune.Searcher({f"op{i}": choice(OPS) for i in range(6)}, client, random_seed=1)
    for i in range(20):
        config = searcher.suggest()
        searcher.on_trial_complete(i, config, loss(config))
    assert len(searcher._advisor.values) == 20


def test_neps(client, tmp_path):
    neps = pytest.importorskip("neps")
    import archflow.neps

    class Cell(neps.PipelineSpace):
        op0 = op1 = op2 = op3 = op4 = op5 = None

    for i in range(6):
        setattr(Cell, f"op{i}", neps.Categorical(choices=OPS))
    found = []

    def evaluate_pipeline(**config):
        found.append(loss(config))
        return found[-1]

    neps.run(evaluate_pipeline, Cell(), root_directory=str(tmp_path / "neps"), total_evaluations_to_spend=20,
             optimizer=functools.partial(archflow.neps.optimizer, client=client))
    assert len(found) == 20


def test_neps_seed():
    neps = pytest.importorskip("neps")
    import archflow.neps

    class Cell(neps.PipelineSpace):
        op = neps.Categorical(choices=OPS)
        rate = neps.Float(lower=0.0, upper=1.0)

    def draws(seed):
        optimizer = archflow.neps.optimizer(Cell(), seed=seed)
        return [optimizer._draw() for _ in range(5)], optimizer._advisor._random.random()

    state = random.getstate()
    assert draws(1) == draws(1) != draws(2)
    assert random.getstate() == state


def test_torch():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    candidate = archflow.graph(module, torch.zeros(1, 3, 16, 16), id="small")
    assert candidate["space"] == "torch" and candidate["id"] == "small" and candidate["ops"][0] == "input" and candidate["ops"][-1] == "output"
    conv = candidate["ops"][1]
    assert conv["op"] == "conv2d" and conv["kernel_size"] == 3 and conv["out_channels"] == 8 and conv["parameters"] == 224 and conv["elements"] == 2048
    assert candidate["edges"] == [[i, i + 1] for i in range(len(candidate["ops"]) - 1)]


def test_torch_says_what_is_wrong():
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="cannot trace Branch.*branch on values"):
        archflow.graph(Branch(), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"Linear does not take an example of shape \(1, 5\)"):
        archflow.graph(nn.Linear(3, 4), torch.zeros(1, 5))
    with pytest.raises(TypeError, match="nn.Module"):
        archflow.graph("resnet", torch.zeros(1, 3))
