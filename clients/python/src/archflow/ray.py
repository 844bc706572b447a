"""A searcher for Ray Tune: TuneConfig(search_alg=archflow.ray.Searcher())."""

from __future__ import annotations

import pickle
from typing import Any

from ray.tune.search import Searcher as Base
from ray.tune.search.sample import Domain
from ray.tune.search.variant_generator import parse_spec_vars
from ray.tune.utils.util import flatten_dict, unflatten_dict

from .advisor import Advisor, Describe
from .client import Client


class Searcher(Base):
    """Suggests by expected improvement of archflow's predictions.

    name is the space; describe makes a candidate of a configuration. Keys of
    configurations are flat, as in "model/depth".
    """

    def __init__(self, client: Client | None = None, *, space: dict[str, Any] | None = None, metric: str | None = None, mode: str | None = None,
                 name: str = "ray", startup: int = 16, pool: int = 1024, describe: Describe | None = None) -> None:
        super().__init__(metric=metric, mode=mode)
        self._metric: str | None = metric
        self._mode: str | None = mode
        self._advisor = Advisor(name, metric or "objective", mode or "max", client, startup, pool, describe)
        self._space = flatten_dict(space or {}, prevent_delimiter=True)
        self._running: dict[str, dict[str, Any]] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        if self._space:
            return False
        if parse_spec_vars(config)[2]:
            raise ValueError("archflow draws from domains; write tune.choice instead of tune.grid_search")
        self._space = flatten_dict(config, prevent_delimiter=True)
        self._metric, self._mode = metric or self._metric, mode or self._mode or "max"
        self._advisor.task, self._advisor.goal = self._metric or "objective", self._mode
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        config = self._advisor.suggest(lambda: {k: v.sample() if isinstance(v, Domain) else v for k, v in self._space.items()})
        self._running[trial_id] = config
        return unflatten_dict(config)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        config = self._running.pop(trial_id, None)
        if config is not None:
            self._advisor.tell(config, None if error or not result else float(result[self._advisor.task]))

    def save(self, checkpoint_path: str) -> None:
        with open(checkpoint_path, "wb") as f:
            pickle.dump((self._running, self._advisor.values, self._advisor._tried), f)

    def restore(self, checkpoint_path: str) -> None:
        with open(checkpoint_path, "rb") as f:
            self._running, self._advisor.values, self._advisor._tried = pickle.load(f)
