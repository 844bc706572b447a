"""An optimizer for NePS: neps.run(..., optimizer=archflow.neps.optimizer)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from neps.optimizers.optimizer import SampledConfig
from neps.space import ConfigEncoder, Domain

from .advisor import Advisor, Describe
from .client import Client


class Optimizer:
    """Samples by expected improvement of archflow's predictions; objectives are minimised.

    name is the space; describe makes a candidate of a configuration. seed decides the
    random configurations and the variants of the best. It does not decide which of them is
    chosen: that is up to the predictions, and these depend on the models that the server
    has trained by then. Without a seed, torch's global generator draws the configurations.
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
        # NePS's own samplers take no generator.
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)
        self._advisor = Advisor(name, "objective", "min", client, startup, pool, describe, seed)
        self._reported: set[str] = set()

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
        point = torch.rand((1, self._encoder.ndim), generator=self._generator)
        config = self._encoder.decode(Domain.translate(point, frm=Domain.unit_float(), to=self._encoder.domains))[0]
        return {**config, **self._space.constants}


def _places(space: Any) -> dict[str, tuple[str, list[Any] | None]]:
    """Returns, by parameter, the key of its value in NePS and the choices of a category."""
    from neps.space.neps_spaces.neps_space import NepsCompatConverter, resolve
    from neps.space.neps_spaces.sampling import RandomSampler

    state = random.getstate()
    try:
        _, context = resolve(space, domain_sampler=RandomSampler(predefined_samplings={}))  # whose values are of no use
    finally:
        random.setstate(state)
    keys = {k.partition("Resolvable.")[2].partition("::")[0]: k for k in NepsCompatConverter.to_neps_config(context)}
    return {name: (key, list(getattr(domain, "choices", ())) or None) for name, key in keys.items() if (domain := space.get_attrs().get(name)) is not None}


def optimizer(space: Any, **settings: Any) -> Optimizer:
    """The argument optimizer of neps.run; pass settings with functools.partial(optimizer, client=...)."""
    return Optimizer(space, **settings)
