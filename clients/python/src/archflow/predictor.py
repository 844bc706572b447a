"""A predictor with the methods of scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .client import Client, Rejected
from .server import Server, start


class Predictor:
    """Learns from trained architectures and predicts others.

    X are candidates, as dicts or in the space's notation. Without a client, the
    predictor runs its own archflow from fit until close.
    """

    def __init__(self, space: str, task: str, client: Client | None = None, goal: str = "max") -> None:
        self.space, self.task, self.client, self.goal = space, task, client, goal
        self._server: Server | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"space": self.space, "task": self.task, "client": self.client, "goal": self.goal}

    def set_params(self, **params: Any) -> Predictor:
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(f"{name!r} is no parameter; there are {', '.join(self.get_params())}")
            setattr(self, name, value)
        return self

    def fit(self, X: Sequence[Any], y: Sequence[float]) -> Predictor:
        """Publishes X with their results y and waits for a model that has learnt them."""
        if len(X) != len(y):
            raise ValueError(f"{len(X)} architectures and {len(y)} results")
        client = self._connect()
        candidates = self._candidates(X)
        labels = [{**c, "task": self.task, "value": float(v), "goal": self.goal} for c, v in zip(candidates, y)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Rejected)
            sent = client.tell(labels)  # carries the architectures
        if sent.errors:
            e = sent.errors[0]
            raise ValueError(f"X[{e['index']}]: {e['error']}; {e['cure']}")
        client.publish(candidates)
        client.wait()
        return self

    def predict(self, X: Sequence[Any], return_std: bool = False) -> Any:
        """Returns the predicted values, with numpy as an array; return_std adds standard deviations."""
        values, spreads = [], []
        for answer in self._connect().predict(self._candidates(X)):
            if "error" in answer:
                raise ValueError(f"{answer['error']}; {answer['cure']}")
            task = (answer.get("tasks") or {}).get(self.task)
            if task is None:
                raise RuntimeError("no model answers yet: " + answer.get("reason", f"{self.task} has no labels"))
            values.append(task["value"])
            spreads.append(spread(task))
        return (_array(values), _array(spreads)) if return_std else _array(values)

    def close(self) -> None:
        """Stops the archflow that fit has started."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _connect(self) -> Client:
        if self.client is not None:
            return self.client
        if self._server is None:
            self._server = start()
        return self._server.client

    def _candidates(self, X: Sequence[Any]) -> list[dict[str, Any]]:
        return [{**x, "space": self.space} if isinstance(x, Mapping) else {"space": self.space, "arch": str(x)} for x in X]


def spread(task: Mapping[str, Any]) -> float:
    """Returns the predictive standard deviation of a task's prediction."""
    if task.get("sd") is not None:
        return float(task["sd"])
    return float(task["high"] - task["low"]) / (2 * 1.6448536269514722)


def _array(values: list[float]) -> Any:
    try:
        import numpy
    except ImportError:
        return values
    return numpy.asarray(values, dtype=float)
