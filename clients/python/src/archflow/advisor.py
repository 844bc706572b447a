"""Common code of the adapters: a search over hyperparameters that archflow advises."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .client import Client, Error

Config = dict[str, Any]
Describe = Callable[[Config], Mapping[str, Any]]  # a configuration as a candidate


class Advisor:
    """Chooses configurations by expected improvement.

    The first `startup` configurations are random; each later one is the best of a
    pool by the newest model. The pool begins with `pool` random configurations and
    grows with each result by variants of the best. All of it is published, because
    archflow also learns from architectures without results. A configuration is a flat
    dict of numbers, booleans and strings. By default it becomes the hyperparameters
    of a candidate in a space of its own; `describe` may make another candidate of it.
    archflow predicts an architecture better by its graph, in a built-in space or with
    "ops" and "edges". Once every configuration of a small space has been suggested, the
    advisor warns and draws repeats.
    """

    def __init__(self, space: str, task: str = "objective", goal: str = "min", client: Client | None = None, startup: int = 16, pool: int = 1024,
                 describe: Describe | None = None, seed: int | None = None) -> None:
        self.space, self.task, self.goal, self.describe = space, task, goal, describe
        self.client = client or Client()
        self.startup, self.pool = startup, pool
        self.values: list[float] = []
        self._trained: list[tuple[float, Config]] = []
        self._tried: set[str] = set()
        self._open: dict[str, Config] = {}
        self._repeats = False
        self._random = random.Random(startup if seed is None else seed)

    def candidate(self, config: Mapping[str, Any]) -> dict[str, Any]:
        plain = {k: _plain(v) for k, v in config.items()}
        return {"space": self.space, **self.describe(plain)} if self.describe else {"space": self.space, "hyperparameters": plain}

    def suggest(self, draw: Callable[[], Config]) -> Config:
        """Returns the configuration to train next; draw returns a random one."""
        if not self._open:
            self._grow(draw() for _ in range(self.pool))
        elif len(self._open) < 8 * self.pool:
            self._grow(self._variant(draw()) for _ in range(max(self.pool // 16, 1)))
        if len(self.values) < self.startup:
            return self._take(draw())
        if not self._open:
            if not self._repeats:
                self._repeats = True
                warnings.warn(f"{self.pool} random configurations of {self.space} had all been suggested before; from now on some are repeated", stacklevel=2)
            return self._take(draw())
        configs = list(self._open.values())
        best, chosen = -math.inf, configs[0]
        for config, answer in zip(configs, self._predict(configs)):
            task = (answer.get("tasks") or {}).get(self.task)
            if task is None:
                continue
            gain = self._improvement(task)
            if gain > best:
                best, chosen = gain, config
        return self._take(chosen)

    def _predict(self, configs: list[Config]) -> list[dict[str, Any]]:
        """Predicts with a model that has learnt every result, or after a timeout with the newest."""
        candidates = [self.candidate(c) for c in configs]
        try:
            return self.client.predict(candidates)
        except Error as e:
            if e.status != 504:
                raise
        return self.client.predict(candidates, fresh=False)

    def _grow(self, configs: Iterable[Config]) -> None:
        """Publishes new configurations and adds them to the pool."""
        fresh = {_key(c): c for c in configs}
        fresh = {k: c for k, c in fresh.items() if k not in self._tried and k not in self._open}
        self._open.update(fresh)
        self.client.publish(map(self.candidate, fresh.values()))

    def _variant(self, config: Config) -> Config:
        """Returns one of the best configurations with one or two values of another."""
        if not self._trained:
            return config
        parent = self._random.choice(sorted(self._trained, key=lambda t: t[0], reverse=self.goal == "max")[:8])[1]
        shared = [k for k in config if k in parent]
        changed = set(self._random.sample(shared, min(len(shared), self._random.randint(1, 2))))
        return {k: v if k in changed or k not in parent else parent[k] for k, v in config.items()}

    def tell(self, config: Mapping[str, Any], value: float | None) -> None:
        """Records the result of a configuration; None is a failed training."""
        label = {**self.candidate(config), "task": self.task, "goal": self.goal}
        if value is None or not math.isfinite(value):
            self.client.tell({**label, "failed": True})
            return
        self.values.append(value)
        self._trained.append((value, dict(config)))
        self.client.tell({**label, "value": float(value)})

    def _take(self, config: Config) -> Config:
        self._tried.add(_key(config))
        self._open.pop(_key(config), None)
        return config

    def _improvement(self, task: Mapping[str, Any]) -> float:
        """Expected improvement over the best value so far.

        Each side of the predicted value is half of a normal distribution. So a
        configuration that is surely bad, and perhaps very bad, has a large deviation
        and no expected improvement.
        """
        value = float(task["value"])
        above, below = ((x / _HALF_OF_90) for x in (task["high"] - value, value - task["low"]))
        if self.goal == "min":
            d, up, down = min(self.values) - value, below, above
        else:
            d, up, down = value - max(self.values), above, below
        if d <= 0:
            return _positive_part(d, up)
        return _positive_part(d, down) + (up - down) / math.sqrt(2 * math.pi)


_HALF_OF_90 = 1.6448536269514722  # of an interval that holds 90 %, in standard deviations


def _positive_part(mean: float, sd: float) -> float:
    """The expectation of the positive part of a normal distribution."""
    if not sd > 0:
        return max(mean, 0.0)
    z = mean / sd
    return mean * 0.5 * math.erfc(-z / math.sqrt(2)) + sd * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _plain(value: Any) -> Any:
    """Converts a value to one that JSON has; numpy's scalars become numbers."""
    item = getattr(value, "item", None)
    if callable(item):
        value = item()
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _key(config: Mapping[str, Any]) -> str:
    return repr(sorted((k, _plain(v)) for k, v in config.items()))
