"""An Optuna sampler: study = optuna.create_study(sampler=archflow.optuna.Sampler())."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

from .advisor import Advisor, Describe
from .client import Client


class Sampler(optuna.samplers.BaseSampler):
    """Samples by expected improvement of archflow's predictions.

    The study's name is the space, unless describe makes a candidate of a trial's
    parameters and names another space. The sampler publishes the results of trials
    that finish with it, and not those of earlier trials of the study.
    """

    def __init__(self, client: Client | None = None, *, seed: int | None = None, startup: int = 16, pool: int = 1024, describe: Describe | None = None) -> None:
        self._client, self._startup, self._pool, self._describe = client, startup, pool, describe
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._common = IntersectionSearchSpace()
        self._advisor: Advisor | None = None

    def reseed_rng(self) -> None:
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {k: d for k, d in self._common.calculate(study).items() if not d.single()}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        if not search_space:
            return {}
        return self._of(study).suggest(lambda: {k: self._random.sample_independent(study, trial, k, d) for k, d in search_space.items()})

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        if state == TrialState.COMPLETE and values:
            self._of(study).tell(trial.params, values[0])
        elif state == TrialState.FAIL and trial.params:
            self._of(study).tell(trial.params, None)

    def _of(self, study: optuna.Study) -> Advisor:
        if self._advisor is None:
            goal = "max" if study.direction == optuna.study.StudyDirection.MAXIMIZE else "min"
            self._advisor = Advisor(space_name(study.study_name), "objective", goal, self._client, self._startup, self._pool, self._describe)
        return self._advisor


def space_name(text: str) -> str:
    """Converts a study's name to the name of a space."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)[:64]
