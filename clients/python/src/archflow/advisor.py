"""What the adapters share: a search over hyperparameters that archflow advises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .client import Client
from .predictor import spread

Config = dict[str, Any]


class Advisor:
    """Chooses configurations by expected improvement.

    Each is the best of `pool` random ones by the newest model, the first `startup`
    are random. A configuration is a flat dict of numbers, booleans and strings; as a
    candidate it is the hyperparameters of a space of its own.
    """

    def __init__(self, space: str, task: str = "objective", goal: str = "min", client: Client | None = None, startup: int = 16, pool: int = 256) -> None:
        self.space, self.task, self.goal = space, task, goal
        self.client = client or Client()
        self.startup, self.pool = startup, pool
        self.values: list[float] = []
        self._tried: set[str] = set()

    def candidate(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"space": self.space, "hyperparameters": {k: _plain(v) for k, v in config.items()}}

    def suggest(self, draw: Callable[[], Config]) -> Config:
        """Returns the configuration to train next; draw makes a random one."""
        if len(self.values) < self.startup:
            return self._take(draw())
        drawn = [draw() for _ in range(self.pool)]
        configs = [c for c in drawn if _key(c) not in self._tried] or drawn
        best, chosen = -math.inf, configs[0]
        for config, answer in zip(configs, self.client.predict(map(self.candidate, configs))):
            task = (answer.get("tasks") or {}).get(self.task)
            if task is None:
                continue
            gain = self._improvement(task["value"], spread(task))
            if gain > best:
                best, chosen = gain, config
        return self._take(chosen)

    def tell(self, config: Mapping[str, Any], value: float | None) -> None:
        """Notes what a configuration came to; None is a training that failed."""
        label = {**self.candidate(config), "task": self.task, "goal": self.goal}
        if value is None or not math.isfinite(value):
            self.client.tell({**label, "failed": True})
            return
        self.values.append(value)
        self.client.tell({**label, "value": float(value)})

    def _take(self, config: Config) -> Config:
        self._tried.add(_key(config))
        return config

    def _improvement(self, mean: float, sd: float) -> float:
        """Expected improvement over the best value so far."""
        d = min(self.values) - mean if self.goal == "min" else mean - max(self.values)
        if not sd > 0:
            return max(d, 0.0)
        z = d / sd
        return d * 0.5 * math.erfc(-z / math.sqrt(2)) + sd * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _plain(value: Any) -> Any:
    """A value as JSON has it: numpy's scalars are numbers."""
    item = getattr(value, "item", None)
    if callable(item):
        value = item()
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _key(config: Mapping[str, Any]) -> str:
    return repr(sorted((k, _plain(v)) for k, v in config.items()))
