"""A searcher for Syne Tune, for its SingleObjectiveScheduler."""

from __future__ import annotations

from typing import Any

import numpy
from syne_tune.config_space import Domain
from syne_tune.optimizer.schedulers.searchers.single_objective_searcher import SingleObjectiveBaseSearcher

from .advisor import Advisor, Describe
from .client import Client


class Searcher(SingleObjectiveBaseSearcher):
    """Suggests by expected improvement of archflow's predictions.

    SingleObjectiveScheduler(config_space, metric=..., searcher=Searcher(config_space)).
    Metrics are minimised, because the scheduler negates the others. name is the space; describe
    makes a candidate of a configuration.
    """

    def __init__(self, config_space: dict[str, Any], client: Client | None = None, *, name: str = "synetune", metric: str = "objective",
                 startup: int = 16, pool: int = 1024, random_seed: int | None = None, points_to_evaluate: list[dict[str, Any]] | None = None,
                 describe: Describe | None = None) -> None:
        super().__init__(config_space, points_to_evaluate=points_to_evaluate, random_seed=random_seed)
        self._advisor = Advisor(name, metric, "min", client, startup, pool, describe)
        self._state = numpy.random.RandomState(random_seed)

    def suggest(self, **kwargs: Any) -> dict[str, Any] | None:
        given = self._next_points_to_evaluate() if hasattr(self, "_next_points_to_evaluate") else None
        return given if given is not None else self._advisor.suggest(self._draw)

    def on_trial_complete(self, trial_id: int, config: dict[str, Any], metric: float, **kwargs: Any) -> None:
        self._advisor.tell({k: v for k, v in config.items() if k in self.config_space}, float(metric))

    def on_trial_error(self, trial_id: int) -> None:
        """Does nothing: Syne Tune does not pass the configuration."""

    def _draw(self) -> dict[str, Any]:
        return {k: v.sample(random_state=self._state) if isinstance(v, Domain) else v for k, v in self.config_space.items()}
