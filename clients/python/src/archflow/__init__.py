"""Predicts the results of neural architectures from the few that are trained."""

from __future__ import annotations

from typing import Any

from . import tables
from .client import Client, Error, Published, Rejected
from .predictor import Predictor
from .server import Server, binary, start

__all__ = ["Client", "Error", "Predictor", "Published", "Rejected", "Server", "binary", "graph", "start", "tables"]


def graph(module: Any, example: Any, *, space: str = "torch", **more: Any) -> dict[str, Any]:
    """Makes a candidate of a PyTorch module; see archflow.torchgraph.graph."""
    from .torchgraph import graph as traced

    return traced(module, example, space=space, **more)
