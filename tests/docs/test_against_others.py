"""The page that compares with others names tests that are there, and all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "against-others.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["tests/mlflow/test_against.py", "tests/compat/test_against.py"])
def test_what_was_checked_by_a_test_is_named_with_it(file: str) -> None:
    section = PAGE.partition(f"`{file}`")[2].partition("\n**")[0]
    named = re.findall(r"`(test_\w+)`", section)
    assert named == re.findall(r"def (test_\w+)\(", (ROOT / file).read_text(encoding="utf-8"))


def test_each_row_says_something_of_each() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert rows and {line.count("|") for line in rows} == {7}
    assert all(cell.strip() for line in rows for cell in line.split("|")[2:-1])
