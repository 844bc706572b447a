"""Plots for notebooks. They need matplotlib and return its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def _axes(axes: Any) -> Any:
    if axes is not None:
        return axes
    try:
        import matplotlib.pyplot as plt
    except ImportError as e:
        raise ImportError("plots need matplotlib: pip install archflow[plots]") from e
    return plt.subplots()[1]


def regret(values: Sequence[float], best: float | None = None, *, goal: str = "max", axes: Any = None) -> Any:
    """Draws the best value found against the number of trainings; with best, the distance to it."""
    axes = _axes(axes)
    found: list[float] = []
    for v in values:
        found.append(v if not found else (max if goal == "max" else min)(found[-1], v))
    axes.step(range(1, len(found) + 1), found if best is None else [abs(best - v) for v in found], where="post")
    axes.set_xlabel("trainings")
    axes.set_ylabel("best found" if best is None else "regret")
    return axes


def front(candidates: Sequence[Mapping[str, Any]], tasks: tuple[str, str], *, axes: Any = None) -> Any:
    """Draws the result of Client.front: predicted values, with trained ones filled."""
    axes = _axes(axes)
    first, second = tasks
    predicted = [(c["tasks"][first]["value"], c["tasks"][second]["value"]) for c in candidates if c["tasks"].get(first) and c["tasks"].get(second)]
    trained = [(c["labels"][first], c["labels"][second]) for c in candidates if first in c.get("labels", {}) and second in c.get("labels", {})]
    axes.scatter(*zip(*predicted) if predicted else ((), ()), facecolors="none", edgecolors="C0", label="predicted")
    axes.scatter(*zip(*trained) if trained else ((), ()), color="C1", label="trained")
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    axes.legend()
    return axes


def agreement(candidates: Sequence[Mapping[str, Any]], task: str, *, axes: Any = None) -> Any:
    """Draws predicted against trained values, with 90 % intervals."""
    axes = _axes(axes)
    pairs = [(c["labels"][task], c["tasks"][task]) for c in candidates if task in c.get("labels", {}) and c["tasks"].get(task)]
    if pairs:
        truth = [t for t, _ in pairs]
        value = [p["value"] for _, p in pairs]
        bars = [[p["value"] - p["low"] for _, p in pairs], [p["high"] - p["value"] for _, p in pairs]]
        axes.errorbar(truth, value, yerr=bars, fmt="o", alpha=0.6)
        axes.axline((truth[0], truth[0]), slope=1, color="gray")
    axes.set_xlabel("trained")
    axes.set_ylabel("predicted")
    return axes
