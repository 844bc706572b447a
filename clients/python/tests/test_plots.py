"""The plots, with matplotlib and without."""

import builtins

import pytest

import archflow
from archflow import plots

CANDIDATES = [
    {"tasks": {"acc": {"value": 90.0, "low": 88.0, "high": 91.0}, "ms": {"value": 3.0, "low": 2.0, "high": 4.0}}, "labels": {"acc": 90.5, "ms": 3.1}},
    {"tasks": {"acc": {"value": 92.0, "low": 90.0, "high": 93.0}, "ms": {"value": 5.0, "low": 4.0, "high": 6.0}}, "labels": {"acc": 91.5}},
    {"tasks": {"acc": {"value": 80.0, "low": 70.0, "high": 85.0}, "ms": None}},
]


@pytest.fixture
def axes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt.subplots()[1]
    plt.close("all")


def test_regret(axes):
    drawn = plots.regret([80, 85, 83, 90], axes=axes)
    assert drawn is axes and list(drawn.lines[0].get_ydata()) == [80, 85, 85, 90]
    assert list(plots.regret([5, 4, 6], best=3, goal="min").lines[0].get_ydata()) == [2, 1, 1]
    assert len(plots.regret([]).lines[0].get_ydata()) == 0


def test_front(axes):
    predicted, trained = plots.front(CANDIDATES, ("acc", "ms"), axes=axes).collections
    assert predicted.get_offsets().tolist() == [[90, 3], [92, 5]] and trained.get_offsets().tolist() == [[90.5, 3.1]]
    assert len(plots.front([], ("acc", "ms")).collections) == 2


def test_agreement(axes):
    drawn = plots.agreement(CANDIDATES, "acc", axes=axes)
    assert drawn.lines[0].get_xdata().tolist() == [90.5, 91.5] and drawn.lines[0].get_ydata().tolist() == [90, 92]
    assert plots.agreement([], "acc").get_xlabel() == "trained"


def test_without_matplotlib(monkeypatch):
    found = builtins.__import__

    def missing(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return found(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    for draw in (lambda: plots.regret([1]), lambda: plots.front([], ("a", "b")), lambda: plots.agreement([], "a")):
        with pytest.raises(ImportError, match=r"archflow\[plots\]"):
            draw()
    assert archflow.Client  # the rest needs none
