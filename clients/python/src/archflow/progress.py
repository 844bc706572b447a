"""The progress of a long request: a line on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Reports work of a client that takes longer than a second.

    On a terminal and in a notebook it rewrites one line; elsewhere it prints a line
    each ten seconds.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._began = self._last = 0.0
        self._width = 0

    def begin(self) -> None:
        self._began = self._last = time.monotonic()
        self._width = 0

    def say(self, text: str) -> None:
        now, out = time.monotonic(), self._out or sys.stderr
        over = _overwrites(out)
        if now - self._began < 1 or now - self._last < (0.2 if over else 10):
            return
        self._last = now
        if over:
            out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            out.write(text + "\n")
        out.flush()

    def end(self) -> None:
        if self._width:
            (self._out or sys.stderr).write("\r" + " " * self._width + "\r")
            self._width = 0


def _overwrites(out: TextIO) -> bool:
    return out.isatty() or "ipykernel" in sys.modules
