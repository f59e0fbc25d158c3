"""What a model was made with, against what it is loaded with."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice

from modelregistry.callers import warn
from modelregistry.errors import EnvironmentMismatchWarning

PYTHON = "python"
_MOST = 50
"""Names that are looked up at a load: whoever may register chose how many there are."""


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of distributions here; what is not installed is left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        with suppress(PackageNotFoundError, ValueError):  # no name at all is a ValueError
            found[name] = platform.python_version() if name == PYTHON else version(name)
    return found


def mismatches(recorded: Mapping[str, str], here: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What differs in the major or minor version: its name, the recorded version, the one here.

    What is not here is no mismatch, since its loader says that; and neither is what is no version.
    """
    found = []
    for name, version in recorded.items():
        other = here.get(name)
        if other is not None and other != version:
            one, two = _minor(version), _minor(other)
            if None not in (one, two) and one != two:
                found.append((name, version.strip(), other))
    return found


def warn_of_mismatch(reference: str, recorded: Mapping[str, str] | None) -> None:
    """Say in one line where a model was made with other versions than are here."""
    looked_up = dict(islice((recorded or {}).items(), _MOST))
    found = mismatches(looked_up, installed(looked_up))
    if not found:
        return
    # As JSON, because whoever may register chose the names.
    told = ", ".join(f"{json.dumps(name)[1:-1]} {old} (here {new})" for name, old, new in found)
    warn(
        f"{reference} was made with {told}: it may fail to load, or answer otherwise",
        EnvironmentMismatchWarning,
    )


def _minor(version: str) -> tuple[int, int] | None:
    from packaging.version import Version

    try:
        parsed = Version(version)
    except ValueError:
        return None
    return parsed.major, parsed.minor
