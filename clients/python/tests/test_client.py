import json
import random
import uuid

import pytest

import archflow

OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


def cell(numbers):
    o = [OPS[n] for n in numbers]
    return f"|{o[0]}~0|+|{o[1]}~0|{o[2]}~1|+|{o[3]}~0|{o[4]}~1|{o[5]}~2|"


def cells(n, seed=1):
    rng = random.Random(seed)
    distinct = {tuple(rng.randrange(5) for _ in range(6)) for _ in range(3 * n)}
    return [{"space": "nb201", "id": f"{seed}-{i}", "arch": cell(c)} for i, c in enumerate(sorted(distinct)[:n])]


def worth(candidate):
    """A made-up accuracy."""
    return 50 + 3 * candidate["arch"].count("nor_conv_3x3") + candidate["arch"].count("nor_conv_1x1") - candidate["arch"].count("none")


def test_the_loop(client):
    published = client.publish(cells(200))
    assert published.published == 200 and sum(published.through.values()) >= 200
    trained = {}
    for _ in range(4):
        trials = client.ask("nb201", "accuracy", n=10)
        assert len({t["network"] for t in trials}) == len(trials) == 10
        assert not trained.keys() & {t["id"] for t in trials}
        trained.update((t["id"], worth(t)) for t in trials)
        told = client.tell([{**t, "task": "accuracy", "value": worth(t)} for t in trials])
        assert told.published == 10
    best = client.best("nb201", "accuracy", k=20)
    assert len(best) == 20 and best[0]["tasks"]["accuracy"]["score"] >= best[-1]["tasks"]["accuracy"]["score"]
    for c in best:
        if c["id"] in trained:
            assert c["labels"] == {"accuracy": trained[c["id"]]}
    assert all("labels" not in c for c in client.best("nb201", "accuracy", labelled=False))
    decisions = client.models("nb201")
    assert decisions and decisions[0]["space"] == "nb201" and decisions[0]["learnt"]["archflow.labels/0"] >= 40


def test_predictions_in_order_and_of_one_kind(client):
    many = cells(300, seed=2)
    many[7] = {"space": "nb201", "arch": "nonsense"}
    answers = client.predict(many)
    assert len(answers) == 300 and "cure" in answers[7] and "error" in answers[7]
    assert [a["id"] for i, a in enumerate(answers) if i != 7] == [c["id"] for i, c in enumerate(many) if i != 7]
    assert client.predict(many[0]) == answers[0]
    with pytest.raises(archflow.Error) as e:
        client.predict(many[7])
    assert e.value.status == 400 and e.value.kind == "notation" and e.value.cure


def test_rejected_elements_are_warned_of(client):
    with pytest.warns(archflow.Rejected, match="number 1"):
        result = client.publish([cells(1, seed=3)[0], {"space": "nb201"}])
    assert result.published == 1 and result.errors[0]["index"] == 1
    with pytest.raises(archflow.Error):
        client.tell({"space": "nb201", "id": "x", "task": "accuracy"})


def test_a_key_publishes_once(client):
    key, body = uuid.uuid4().hex, json.dumps(cells(1, seed=4)[0]).encode()
    first = client._request("POST", "/api/candidates", body, "application/json", key=key)
    assert client._request("POST", "/api/candidates", body, "application/json", key=key) == first
    with pytest.raises(archflow.Error) as e:
        client._request("POST", "/api/candidates", json.dumps(cells(2, seed=5)[1]).encode(), "application/json", key=key)
    assert e.value.status == 422 and e.value.kind == "idempotency"


def test_the_predictor_of_scikit_learn(client):
    X = cells(60, seed=6)
    y = [worth(x) for x in X]
    client.publish(X)  # it learns from those without results too
    model = archflow.Predictor("nb201", "worth", client).fit(X[:40], y[:40])
    values, spreads = model.predict(X[40:], return_std=True)
    assert len(values) == len(spreads) == 20 and min(spreads) >= 0
    agreeing = sum((values[i] - values[j]) * (y[40 + i] - y[40 + j]) >= 0 for i in range(20) for j in range(i))
    assert agreeing > 0.6 * 190
    assert model.get_params()["task"] == "worth" and model.set_params(goal="min").goal == "min"
    with pytest.raises(ValueError):
        model.set_params(nothing=1)


def test_the_naslib_predictor(client):
    naslib = pytest.importorskip("archflow.naslib")
    model = naslib.Predictor("nb201", "naslib", client)
    X = [c["arch"] for c in cells(40, seed=7)]
    errors = model.fit(X[:30], [worth({"arch": x}) for x in X[:30]])
    assert errors.shape == (30,) and model.query(X[30:]).shape == (10,)
    assert model.get_data_reqs()["requires_partial_lc"] is False


def test_openapi(client):
    document = client._request("GET", "/api/openapi.json")
    assert document["openapi"].startswith("3.1")
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)


def test_front(client):
    c = cells(200)
    client.tell([{**x, "task": "latency", "value": float(x["arch"].count("conv")), "goal": "min"} for x in c[:40]])
    front = client.front("nb201", ["accuracy", "latency"])
    scores = [(x["tasks"]["accuracy"]["score"], x["tasks"]["latency"]["score"]) for x in front]
    assert front and not any(a[0] > b[0] and a[1] > b[1] for a in scores for b in scores)
    asked = client.ask("nb201", tasks=["accuracy", "latency"], n=5, constraints={"latency": {"max": 4}}, strategy="top")
    assert all(x["tasks"]["latency"]["value"] <= 4 for x in asked)


def test_a_function_makes_candidates(client):
    given = []

    def generate(best):
        given.extend(best)
        return [{"space": "nb201", "id": f"made-{i}", "arch": arch} for i, arch in enumerate(made)]

    made = ["|%s~0|+|%s~0|skip_connect~1|+|none~0|%s~1|avg_pool_3x3~2|" % (a, b, a) for a in ("nor_conv_1x1", "skip_connect") for b in ("nor_conv_1x1", "avg_pool_3x3")]
    asked = client.ask("nb201", "accuracy", n=3, generate=generate)
    assert given and all("tasks" in x for x in given)
    assert len(asked) == 3 and all(x["arch"] in made for x in asked)
    assert client.ask("nb201", "accuracy", n=3, source="new")


def test_a_server_that_is_not_there():
    client = archflow.Client("http://127.0.0.1:1", retries=1)
    with pytest.raises(OSError):
        client.models()
    with pytest.raises(ValueError):
        archflow.Client("ftp://x")


def test_the_table(server, client):
    for name in ("deltalake", "pandas", "pyarrow"):
        pytest.importorskip(name)
    rows = archflow.tables.predictions(server.tables)
    assert {"candidate_id", "predictions"} <= set(rows.columns)
