"""The page about installing has every extra, and the versions that pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs" / "reference" / "install.md").read_text(encoding="utf-8")


def row(first: str) -> str:
    found = re.search(rf"^\| {first} \|.*$", PAGE, re.MULTILINE)
    assert found is not None
    return found[0]


def test_the_table_has_every_extra_and_no_other() -> None:
    table = PAGE.partition("| extra |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)} == set(
        PROJECT["optional-dependencies"]
    )


def test_all_is_what_the_table_says() -> None:
    (said,) = PROJECT["optional-dependencies"]["all"]
    inside = set(re.findall(r"[\w-]+", said.partition("[")[2]))
    formats = set(re.findall(r"`([\w-]+)`", row("`onnx`.*?").partition(" | ")[0]))
    # One that another of them brings need not be named.
    assert set(PROJECT["optional-dependencies"]) - inside == formats | {"testing", "all", "sql"}


def test_the_versions_are_those_of_the_project() -> None:
    python = [
        found[1]
        for each in PROJECT["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each))
    ]
    assert PROJECT["requires-python"] == f">={python[0]}"
    assert all(re.search(rf"{re.escape(each)}\b", row("Python")) for each in python)
    (dvc,) = (each for each in PROJECT["dependencies"] if each.startswith("dvc>="))
    assert dvc == "dvc>=3.67,<4" and "3.67 and newer, below 4" in row("DVC")
    assert ("Operating System :: POSIX" in PROJECT["classifiers"]) and "POSIX" in row("system")
