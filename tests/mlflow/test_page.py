"""The code of the page about MLflow runs: the docs session, which has no MLflow, passes it by."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.integration.projects import git
from tests.mlflow.conftest import Source

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "move-from-mlflow.md"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_blocks_of_the_page_run(there: Source, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(there.folder / "mlflow.db", project / "mlflow.db")
    monkeypatch.chdir(project)
    blocks = [*Document.parse(str(PAGE), PythonCodeBlockParser())]
    assert len(blocks) == PAGE.read_text().count("```python\n")
    for block in blocks:
        block.evaluate()
    assert git(project, "status", "--porcelain") == "?? exports/\n?? mlflow.db"
