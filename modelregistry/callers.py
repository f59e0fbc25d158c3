"""Warnings for whoever calls this library: they point at that line, however deep in here it is that something was found."""

from __future__ import annotations

import sys
import warnings

_OURS = __name__.partition(".")[0]


def warn(message: str, category: type[Warning]) -> None:
    """Warn the caller of this library."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
