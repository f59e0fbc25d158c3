"""Importing and calling DVC as a library does: its loggers, streams and progress bars leave the caller's alone."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_importing = threading.Lock()
_COLOUR = "colorama.initialise"
_LOGGERS = ("dvc", "dvc_objects", "dvc_data", "asyncio", "aiohttp")


@contextmanager
def importing_dvc() -> Iterator[None]:
    """Around the first import of DVC, which would put handlers on loggers, mute asyncio's and wrap standard streams.

    For a command line that is fine, in a library it would be rude. What the caller imported stays as it is.
    """
    with _importing:
        loggers = [logging.getLogger(each) for each in _LOGGERS]
        before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
        streams = None if "dvc" in sys.modules else (sys.stdout, sys.stderr)
        coloured = _COLOUR in sys.modules
        try:
            yield
        finally:
            if _COLOUR in sys.modules and not coloured:
                # It would set a terminal's colours back when the process ends, which nobody has changed.
                atexit.unregister(sys.modules[_COLOUR].reset_all)
            if streams is not None:
                sys.stdout, sys.stderr = streams
                for logger, level, handlers in before:
                    logger.setLevel(level)
                    logger.handlers[:] = handlers


@contextmanager
def without_bars() -> Iterator[None]:
    """DVC shows its progress on a terminal unless the logger of its bars is above errors."""
    logger = logging.getLogger("dvc.progress")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
