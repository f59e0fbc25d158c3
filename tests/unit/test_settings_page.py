"""The page of settings has every variable that the code reads, every key of the files, and no others."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import modelregistry as mr
from modelregistry.config import CardSettings, MetadataSettings, Settings, StageSettings, UserSettings
from modelregistry.metadata.evaluating import PLACEHOLDERS
from modelregistry.trust.signertexts import _PolicyText, _RequirementText, _SignerText, _TrustText

PACKAGE = Path(mr.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
CODE = "".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
READ = re.compile(r"(?<!``os\.)(?:environ(?:\.get\(|\[|\.setdefault\()|getenv\()\s*\"([A-Z_]+)\"")
ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", re.MULTILINE)
SET = {"MLFLOW_DISABLE_TELEMETRY"}
"""Not read, but set for MLflow where nobody said otherwise."""


def test_every_variable_that_the_code_reads_has_a_row_and_none_else() -> None:
    rows = {name for row in ROW.findall(PAGE) for name in re.findall("[A-Z_]+", row)}
    through_others = {"HOME", "XDG_CONFIG_HOME"}  # platformdirs and expanduser
    assert rows == (set(READ.findall(CODE)) - SET) | through_others


def test_every_variable_of_ours_in_the_code_and_the_pages_is_on_the_page() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (PACKAGE.parent / "docs").rglob("*.md")]
    # Those of the tests, which a page for contributors lists, are none of a user's.
    named = {
        name
        for text in [
            CODE,
            *(page for page in pages if not page.startswith(("# Contributing", "# Benchmarks"))),
        ]
        for name in re.findall(r"MODELREGISTRY_[A-Z]+\b", text)
    }
    named |= {f"MODELREGISTRY_{name.strip('{}').upper()}" for name in PLACEHOLDERS}
    assert named == set(re.findall(r"MODELREGISTRY_[A-Z]+\b", PAGE))


@pytest.mark.parametrize(
    "table",
    [
        Settings, StageSettings, MetadataSettings, CardSettings, UserSettings,
        _PolicyText, _SignerText, _RequirementText, _TrustText,
    ],
)  # fmt: skip
def test_every_key_of_the_files_is_told(table: type[BaseModel]) -> None:
    for key in table.model_fields:
        assert re.search(rf"`\[*{key}\]*`", PAGE), f"{table.__name__}.{key}"


def test_every_argument_of_a_registry_is_told() -> None:
    section = PAGE.partition("## Of one registry or call")[2].partition("\n## ")[0]
    for name in inspect.signature(mr.Registry).parameters:
        assert re.search(rf"\b{name}\b", section), name
