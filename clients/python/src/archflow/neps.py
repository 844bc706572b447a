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

    def __init__(self, space: Any, client: Client | None = None, *, name: str = "neps", startup: int = 16, pool: int = 1024, seed: int | None = None, describe: Describe | None = None) -> None:
        self._places: dict[str, tuple[str, list[Any] | None]] = {}
        if not hasattr(space, "searchables"):
            from neps.space.neps_spaces.neps_space import convert_neps_to_classic_search_space

            self._places = _places(space)
            space = convert_neps_to_classic_search_space(space)
            if space is None:
                raise ValueError("archflow takes spaces of floats, integers and categories")
        self._space = space
        self._encoder = ConfigEncoder.from_parameters(space.searchables)
        self._sampler = Sampler.uniform(ndim=self._encoder.ndim)
        self._advisor = Advisor(name, "objective", "min", client, startup, pool, describe)
        self._reported: set[str] = set()
        if seed is not None:
            random.seed(seed)

    def __call__(self, trials: Mapping[str, Any], budget_info: Any = None, n: int | None = None) -> Any:
        for key, trial in trials.items():
            if key not in self._reported and trial.report is not None:
                self._reported.add(key)
                self._advisor.tell(self._named(trial.config), trial.report.objective_to_minimize)
        sampled = [SampledConfig(id=str(len(trials) + i + 1), config=self._placed(self._advisor.suggest(self._draw)), previous_config_id=None) for i in range(n or 1)]
        return sampled[0] if n is None else sampled

    def _placed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Converts a configuration to the form of a PipelineSpace: categories by their number."""
        if not self._places:
            return dict(config)
        out = {}
        for name, (place, choices) in self._places.items():
            out[place] = config[name] if choices is None else choices.index(config[name])
        return out

    def _named(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of _placed."""
        if not self._places:
            return dict(config)
        named = dict(self._space.constants)
        for name, (place, choices) in self._places.items():
            named[name] = config[place] if choices is None else choices[config[place]]
        return named

    def _draw(self) -> dict[str, Any]:
        config = self._encoder.decode(self._sampler.sample(1, to=self._encoder.domains))[0]
        return {**config, **self._space.constants}


def _places(space: Any) -> dict[str, tuple[str, list[Any] | None]]:
    """Returns, by parameter, the key of its value in NePS and the choices of a category."""
    from neps.space.neps_spaces.neps_space import NepsCompatConverter, resolve
    from neps.space.neps_spaces.sampling import RandomSampler

    _, context = resolve(space, domain_sampler=RandomSampler(predefined_samplings={}))
    keys = {k.partition("Resolvable.")[2].partition("::")[0]: k for k in NepsCompatConverter.to_neps_config(context)}
    return {name: (key, list(getattr(domain, "choices", ())) or None) for name, key in keys.items() if (domain := space.get_attrs().get(name)) is not None}


def optimizer(space: Any, **settings: Any) -> Optimizer:
    """The argument optimizer of neps.run; pass settings with functools.partial(optimizer, client=...)."""
    return Optimizer(space, **settings)
