"""The names that a pickle may use without the caller's word, and what it may do with each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

from packaging.version import Version

_LISTS = Path(__file__).with_name("names")
"""One list for Python, numpy and scipy, and one for each minor version of scikit-learn. Tests make and compare them."""


class Use(IntEnum):
    """What a file may do with what it names, least first."""

    KEPT = 0
    """Keep it, to be called by the model's own methods later: it is never called while the file is read."""
    MADE = 1
    """Make an empty instance of it, as pickle does, and give that a state: its ``__init__`` is never called."""
    CALLED = 2
    """Call it with whatever arguments the file has."""


@cache
def vouched() -> Mapping[str, Use]:
    """Every name (``module.qualname``) on the lists for what is installed here."""
    return MappingProxyType(_read("plain") | _read(_for_scikit_learn()))


def _for_scikit_learn() -> str | None:
    try:
        installed = Version(version("scikit-learn"))
    except PackageNotFoundError:
        return None
    # A minor version that came after this library takes the nearest earlier list: what is new in it is refused, and
    # what is gone from it can't be found. What is listed there is scikit-learn's own and was safe one version ago.
    minors = sorted(
        tuple(map(int, path.stem.removeprefix("sklearn-").split(".")))
        for path in _LISTS.glob("sklearn-*.json")
    )
    fitting = [minor for minor in minors if minor <= installed.release[:2]]
    return "sklearn-{}.{}".format(*fitting[-1]) if fitting else None


def _read(name: str | None) -> dict[str, Use]:
    if name is None:
        return {}
    lists = json.loads((_LISTS / f"{name}.json").read_text(encoding="utf-8"))
    return {listed: use for use in Use for listed in lists[use.name.lower()]}
