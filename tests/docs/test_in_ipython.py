"""A real IPython completes what is typed, and a real notebook shows how far something is, in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

import modelregistry as mr

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    registry = mr.Registry(project)
    registry.register("churn", rev="HEAD~1")
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    found = InteractiveShell.instance()
    found.user_ns["registry"] = registry
    yield found
    found.history_manager.end_session()
    InteractiveShell.clear_instance()


def completed(shell: Any, code: str) -> list[str]:
    """The line as it is after each of the completions that Tab offers."""
    with provisionalcompleter():
        return [code[: each.start] + each.text for each in shell.Completer.completions(code, len(code))]


def test_keys_are_completed_by_themselves_and_the_strings_of_verbs_with_the_extension(shell: Any) -> None:
    assert completed(shell, 'registry["churn#') == ['registry["churn#current']
    code = 'registry.get("churn@'
    assert 'registry.get("churn@v0.1.1' not in completed(shell, code)

    shell.run_line_magic("load_ext", "modelregistry")
    assert completed(shell, code) == [
        'registry.get("churn@v0.1.1',
        'registry.get("churn@v0.1.0',
        'registry.get("churn@latest',
    ]
    assert completed(shell, 'registry["churn@v0.1.0') == ['registry["churn@v0.1.0']
    assert completed(shell, 'x = 1\nregistry.promote("churn", "v0.1.1", stage="sh') == [
        'x = 1\nregistry.promote("churn", "v0.1.1", stage="shadow'
    ]
    # What is none of ours is completed as ever.
    assert any(each.endswith("dvc.yaml") for each in completed(shell, 'open("dvc.y'))

    shell.run_line_magic("unload_ext", "modelregistry")
    assert 'registry.get("churn@v0.1.1' not in completed(shell, code)


CELL = """\
import sys
import modelregistry as mr

registry = mr.Registry(".")
registry.register("churn")
registry.get("churn").export("out", progress={progress})
assert "ipywidgets" not in sys.modules
"""


def outputs(project: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([os.fspath(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    kernel = {"kernel_name": "python3", "resources": {"metadata": {"path": os.fspath(project)}}}
    NotebookClient(notebook, timeout=300, **kernel).execute()
    return list(notebook.cells[0].outputs)


def test_a_notebook_shows_a_line_for_each_thing_that_goes_on_and_what_it_came_to(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    shown = outputs(project, CELL.format(progress=True), monkeypatch)
    assert {each.output_type for each in shown} == {"display_data"}, shown
    texts = [each.data["text/plain"] for each in shown]
    assert any(text.startswith("exporting churn@v0.1.0: ") and text.endswith(" s") for text in texts), texts
    assert all(each.data["text/html"].startswith("<div>") for each in shown)
    assert len(texts) == len({text.partition(":")[0] for text in texts})


def test_a_notebook_shows_nothing_of_what_is_done_in_a_moment(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path / "ipython"))
    assert outputs(project, CELL.format(progress=False), monkeypatch) == []
