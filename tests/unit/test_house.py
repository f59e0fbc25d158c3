"""Where modules stand: each has one floor, in packages too, where import-linter does not look for those that have none."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

TOP = Path(__file__).parents[2]
_WHOLE = {"registry", "testing", "backends.sqlmigrations"}
"""Packages that stand on one floor as a whole."""


def floors() -> Counter[str]:
    """How often each module is named in the floors."""
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "floors")
    return Counter(name for layer in layers for name in re.findall(r"\(([\w.]+)\)", layer))


def modules() -> set[str]:
    """Every module of the package, without its name before it."""
    top = TOP / "modelregistry"
    paths = {
        path.relative_to(top).with_suffix("") for path in top.rglob("*.py") if path.name != "__init__.py"
    }
    names = {".".join(path.parts) for path in paths}
    return {name for name in names if not any(name.startswith(f"{whole}.") for whole in _WHOLE)} | _WHOLE


def test_every_module_stands_on_one_floor_and_every_floor_holds_modules_that_are_there() -> None:
    listed = floors()
    assert [name for name, times in listed.items() if times > 1] == []
    assert modules() == set(listed)
