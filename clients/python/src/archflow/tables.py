"""The Delta tables."""

from __future__ import annotations

import os
from typing import Any


def predictions(path: str | os.PathLike[str], **options: Any) -> Any:
    """Returns the predictions table as a pandas DataFrame.

    path is the folder of the tables or of the table itself; options are those of
    deltalake.DeltaTable, such as storage_options.
    """
    return read(path, "predictions", **options)


def labels(path: str | os.PathLike[str], **options: Any) -> Any:
    """Returns the labels table as a pandas DataFrame."""
    return read(path, "labels", **options)


def read(path: str | os.PathLike[str], table: str, **options: Any) -> Any:
    try:
        import deltalake
        import pandas  # noqa: F401 -- deltalake imports these two when it reads
        import pyarrow  # noqa: F401
    except ImportError as e:
        raise ImportError("reading tables needs deltalake, pandas and pyarrow: pip install archflow[tables]") from e
    place = os.fspath(path).rstrip("/")
    if place.rpartition("/")[2] != table:
        place += "/" + table
    return deltalake.DeltaTable(place, **options).to_pandas()
