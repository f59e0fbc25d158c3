"""What IPython offers while a reference is typed. The shell is a stand-in; tests/docs has a real one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import git


class Shell:
    """As much of IPython's shell as a matcher is attached to."""

    def __init__(self, **variables: object) -> None:
        self.user_ns = variables
        self.Completer = SimpleNamespace(custom_matchers=["its own"])

    def complete(self, code: str) -> list[str]:
        matcher: Any = self.Completer.custom_matchers[-1]
        *before, line = code.split("\n")
        context = SimpleNamespace(
            full_text=code + '") # after\nand = "more"', cursor_line=len(before), cursor_position=len(line)
        )
        found = matcher(context)
        assert (
            not found["completions"]
            or found["matched_fragment"] == code[len(code) - len(found["matched_fragment"]) :]
        )
        return [each.text for each in found["completions"]]


@pytest.fixture
def shell(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Shell:
    registry.register("risk")
    monkeypatch.chdir(registry.target)
    found = Shell(
        registry=registry, holder=SimpleNamespace(registry=registry), other={}, mr=mr, load_model=mr.load_model, download=len
    )  # fmt: skip
    mr.load_ipython_extension(found)
    return found


@pytest.mark.parametrize(
    ("code", "offered"),
    [
        ('registry.get("', ["churn", "risk"]),
        ('registry.get("ch', ["churn"]),
        ('registry.get("churn@', ["churn@v0.1.1", "churn@v0.1.0", "churn@latest"]),
        ('registry.get("churn@v0.1.0', ["churn@v0.1.0"]),
        ('registry.get("churn#', ["churn#current"]),
        ('registry.get("nothing@', []),
        ('registry["', ["churn", "churn#current", "risk"]),
        ('registry["ch', ["churn", "churn#current"]),
        ('registry["churn#', ["churn#current"]),
        ('mr.load_model("', ["churn", "risk"]),
        ('x = mr.download("churn@v0.1.0', ["churn@v0.1.0"]),
        ('load_model("churn#', ["churn#current"]),
        ('mr.load_model("churn", version="v', ["v0.1.1", "v0.1.0"]),
        ('mr.follow("churn", "', ["shadow", "current"]),
        ('mr.load_model("churn", loader="', []),
        ('download("', []),
        ('follow("', []),
        ('other.load_model("', []),
        ('mr.Registry("', []),
        ('holder.registry["ri', ["risk"]),
        ('registry.promote("churn", "', ["v0.1.1", "v0.1.0", "latest"]),
        ('registry.promote("churn", "v0.1.1", "', ["shadow", "current"]),
        ('registry.promote("churn#current", stage="s', ["shadow"]),
        ('registry.withdraw("churn@v0.1.0", then="', ["v0.1.1", "v0.1.0"]),
        ('registry.bundle(["risk", "churn#', ["churn#current"]),
        ('registry.compare("churn#current", "ch', ["churn"]),
        ('registry.compare("churn#current", "churn", "risk", "ch', ["churn"]),
        ('registry.history("ch', ["churn"]),
        ('x = 1\nregistry.promote(\n    "churn", stage="s', ["shadow"]),
        ('registry.history("churn#', []),
        ('registry.promote("churn", "v0.1.1", "current", message="', []),
        ('registry.nothing("', []),
        ('nowhere.get("', []),
        ('other.get("', []),
        ('open("ch', []),
    ],
)
def test_what_is_typed_is_completed_by_what_there_is(code: str, offered: list[str], shell: Shell) -> None:
    assert shell.complete(code) == offered


def test_keys_are_completed_without_the_extension(registry: Registry) -> None:
    registry.register("risk")
    assert registry._ipython_key_completions_() == ["churn", "churn#current", "risk"]
    assert registry["churn#current"] == registry.get("churn#current")
    with pytest.raises(mr.ModelNotFoundError):
        registry["nothing"]
    with pytest.raises(TypeError):
        iter(registry)  # type: ignore[call-overload]


def test_an_extension_that_is_loaded_twice_is_there_once_and_goes_away(shell: Shell) -> None:
    mr.load_ipython_extension(shell)
    assert len(shell.Completer.custom_matchers) == 2
    mr.unload_ipython_extension(shell)
    assert shell.Completer.custom_matchers == ["its own"]


def test_whoever_types_waits_for_no_network_and_sees_no_error(
    registry: Registry, plain: Path, tmp_path: Path, fresh_cache: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    mirrored = Registry((tmp_path / "hub.git").as_uri(), max_age=0)
    (tmp_path / "hub.git").rename(tmp_path / "gone.git")
    shell = Shell(registry=mirrored)
    mr.load_ipython_extension(shell)
    assert shell.complete('registry.get("churn#') == ["churn#current"]
    (plain / ".git").rename(plain / "git")
    shell.user_ns["registry"] = registry
    assert shell.complete('registry.get("churn#') == []
