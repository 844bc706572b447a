"""An optimizer for NePS: neps.run(..., optimizer=archflow.neps.optimizer)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from neps.optimizers.optimizer import SampledConfig
from neps.sampling import Sampler
from neps.space import ConfigEncoder

from .advisor import Advisor, Describe
from .client import Client


class Optimizer:
    """Samples by expected improvement of archflow's predictions; objectives are minimised.

    name is the space; describe makes a candidate of a configuration.
    """

    def __init__(self, space: Any, client: Client | None = None, *, name: str = "neps", startup: int = 16, pool: int = 256, seed: int | None = None, describe: Describe | None = None) -> None:
        if not hasattr(space, "searchables"):
            from neps.space.neps_spaces.neps_space import convert_neps_to_classic_search_space

            space = convert_neps_to_classic_search_space(space)
            if space is None:
                raise ValueError("archflow takes spaces of floats, integers and categories")
        self._space = space
        self._encoder = ConfigEncoder.from_parameters(space.searchables)
        self._sampler = Sampler.uniform(ndim=self._encoder.ndim)
        self._advisor = Advisor(name, "objective", "min", client, startup, pool, describe)
        self._told: set[str] = set()
        if seed is not None:
            random.seed(seed)

    def __call__(self, trials: Mapping[str, Any], budget_info: Any = None, n: int | None = None) -> Any:
        for key, trial in trials.items():
            if key not in self._told and trial.report is not None:
                self._told.add(key)
                self._advisor.tell(trial.config, trial.report.objective_to_minimize)
        sampled = [SampledConfig(id=str(len(trials) + i + 1), config=self._advisor.suggest(self._draw), previous_config_id=None) for i in range(n or 1)]
        return sampled[0] if n is None else sampled

    def _draw(self) -> dict[str, Any]:
        config = self._encoder.decode(self._sampler.sample(1, to=self._encoder.domains))[0]
        return {**config, **self._space.constants}


def optimizer(space: Any, **settings: Any) -> Optimizer:
    """What neps.run takes as optimizer, also as (optimizer, {"client": ...})."""
    return Optimizer(space, **settings)
