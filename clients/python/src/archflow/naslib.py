"""A predictor with the methods of NASLib's (its Predictor class; the package is not needed)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from .client import Client
from .predictor import Predictor as Model


class Predictor:
    """Predicts the accuracy of NASLib's architectures.

    xtrain and xtest are NASLib's graph objects, with get_hash(), or architectures as
    tuples, or in the space's notation. archflow reads the notations of NASLib.
    """

    def __init__(self, space: str = "nb201", task: str = "accuracy", client: Client | None = None, ss_type: str | None = None, encoding_type: str | None = None) -> None:
        self.ss_type, self.encoding_type = ss_type, encoding_type
        self.hyperparams: dict[str, Any] = {}
        self._model = Model(space, task, client)

    def set_pre_computations(self, unlabeled: Any = None, xtrain_zc_info: Any = None, xtest_zc_info: Any = None, unlabeled_zc_info: Any = None) -> None:
        """Publishes architectures without results; archflow learns from these too."""
        if unlabeled:
            self._model._connect().publish(self._model._candidates([_notation(x) for x in unlabeled]))

    def pre_process(self) -> None:
        """Does nothing."""

    def pre_compute(self, xtrain: Any, xtest: Any, unlabeled: Any = None) -> None:
        self.set_pre_computations(unlabeled)

    def fit(self, xtrain: Sequence[Any], ytrain: Sequence[float], train_info: Any = None, **kwargs: Any) -> numpy.ndarray:
        self._model.fit([_notation(x) for x in xtrain], ytrain)
        errors: numpy.ndarray = numpy.abs(self.query(xtrain) - numpy.asarray(ytrain, dtype=float))
        return errors

    def query(self, xtest: Sequence[Any], info: Any = None, eval_batch_size: int | None = None) -> numpy.ndarray:
        return numpy.asarray(self._model.predict([_notation(x) for x in xtest]))

    def get_data_reqs(self) -> dict[str, Any]:
        return {"requires_partial_lc": False, "metric": None, "requires_hyperparameters": False, "hyperparams": None, "unlabeled": False, "unlabeled_factor": 0}

    def set_hyperparams(self, hyperparams: dict[str, Any]) -> None:
        self.hyperparams = hyperparams

    def get_hyperparams(self) -> dict[str, Any]:
        return self.hyperparams

    def set_random_hyperparams(self) -> dict[str, Any]:
        return self.hyperparams

    def reset_hyperparams(self) -> None:
        self.hyperparams = {}

    def close(self) -> None:
        self._model.close()


def _notation(x: Any) -> str:
    """Returns an architecture in a notation that archflow reads."""
    return str(x.get_hash()) if hasattr(x, "get_hash") else str(x)
