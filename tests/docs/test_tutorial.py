"""The tutorial is done as it is written, from an empty folder, and prints what it says."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.docs.terminal import compare, type_in

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-model.md"
BLOCK = re.compile(r'(?:^<!-- skip: next "(.+)" -->\n)?^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.\w+)\n")


def test_the_tutorial_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("XDG_", "MODELREGISTRY_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    (tmp_path / "home").mkdir()
    folder = tmp_path / "work"
    folder.mkdir()
    names: dict[str, object] = {}
    printed = ""
    for skipped, language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if skipped:
            print(f"{text!r} is skipped: {skipped}")
        elif language == "console":
            folder = type_in(folder, text)
            monkeypatch.chdir(folder)
        elif file := FILE.match(text):
            (folder / file[1]).write_text(text)
        elif language == "python":
            with redirect_stdout(io.StringIO()) as output:
                exec(compile(text, PAGE.name, "exec"), names)
            printed = output.getvalue()
        else:
            assert language == "text"
            compare(printed, text, "the block before")
    assert os.path.samefile(folder, tmp_path / "work" / "project")
