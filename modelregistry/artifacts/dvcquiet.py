"""Importing and calling DVC as a library does: the caller's loggers, streams, terminal and umask stay as they are."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_importing = threading.Lock()
# To find its caches, DVC makes a folder while the umask of the process is 0, and puts back the one before. Of two threads in
# there at once, the second takes that 0 for the one before: then everybody may write to whatever the process writes.
_opening = threading.Lock()
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


def make_project(folder: Path) -> None:
    """Make an empty folder a project of DVC's, without Git; raises what DVC does."""
    with importing_dvc():
        from dvc.repo import Repo
    with _without_bars(), _opening:
        Repo.init(os.fspath(folder), no_scm=True).close()


@contextmanager
def opened_project(
    folder: str | os.PathLike[str], config: Mapping[str, object] | None = None
) -> Iterator[Any]:
    """DVC's ``Repo`` for the project in a folder; raises what DVC does.

    Args:
        folder: Its root.
        config: Settings that come before its own.
    """
    with importing_dvc():
        from dvc.repo import Repo
    with _without_bars():
        with _opening:
            project = Repo(os.fspath(folder), config=config)
            _ = project.site_cache_dir  # remembered from now on
        with project:
            yield project


@contextmanager
def heard_failures(hashes: Collection[str]) -> Iterator[Mapping[str, BaseException]]:
    """What kept objects from being moved while the body runs, by their hashes: DVC logs it, with its traceback, and goes on."""
    found: dict[str, BaseException] = {}

    def hear(record: logging.LogRecord) -> bool:
        name = record.args[0] if isinstance(record.args, tuple) and record.args else None
        failure = record.exc_info[1] if record.exc_info else None
        if failure is None or not isinstance(name, str) or name not in hashes:
            return True
        found[name] = failure
        return False

    logger = logging.getLogger("dvc_data.hashfile.transfer")
    logger.addFilter(hear)
    try:
        yield found
    finally:
        logger.removeFilter(hear)


def first_failure(failures: Mapping[str, BaseException], failed: Collection[object]) -> BaseException:
    """One of what was heard, to raise for the objects that failed; where nothing was, what says how many did."""
    return next(iter(failures.values()), OSError(f"{len(failed)} objects did not get there"))


@contextmanager
def _without_bars() -> Iterator[None]:
    """DVC shows its progress on a terminal unless the logger of its bars is above errors."""
    logger = logging.getLogger("dvc.progress")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
