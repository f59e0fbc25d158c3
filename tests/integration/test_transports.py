"""A registry opened by its URL: through https' younger sister on loopback, through ssh, and without the network."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelregistry as mr
from tests.integration.projects import git, python
from tests.integration.web import serve


@pytest.fixture
def hub(plain: Path, tmp_path: Path) -> Path:
    """A bare repository with a registry in it."""
    registry = mr.Registry(plain)
    registry.register("churn", message="first")
    registry.promote("churn", "v0.1.0", "current")
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    return tmp_path / "hub.git"


@pytest.fixture
def web(hub: Path) -> Iterator[str]:
    """The URL of the hub on loopback."""
    with serve(hub.parent) as port:
        yield f"http://127.0.0.1:{port}/{hub.name}"


def test_a_registry_is_read_over_http(web: str) -> None:
    version = mr.Registry(web).get("churn#current")
    assert version.version == "v0.1.0"
    with version.open() as file:
        assert file.read()


def test_a_registry_is_read_over_ssh(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The outer wall: what stands for ssh runs the command on this very machine.
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o700)
    monkeypatch.setenv("GIT_SSH", os.fspath(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    assert mr.Registry(f"ssh://host.example{hub}").get("churn").version == "v0.1.0"
    assert mr.Registry(f"user@host.example:{hub}").get("churn").version == "v0.1.0"


def test_a_url_is_read_anew_once_its_mirror_is_older_than_max_age(hub: Path, plain: Path) -> None:
    url = f"file://{hub}"
    fresh, patient = mr.Registry(url, max_age=0), mr.Registry(url, max_age=3600)
    mr.Registry(plain).promote("churn", "v0.1.0", "shadow")
    git(plain, "push", "--quiet", os.fspath(hub), "--tags")
    assert patient.get("churn").stages == ("current",)
    assert fresh.get("churn").stages == ("shadow",)


def test_offline_the_mirror_answers_when_the_remote_is_gone(hub: Path) -> None:
    url = f"file://{hub}"
    assert mr.Registry(url).get("churn#current").version == "v0.1.0"
    hub.rename(hub.with_name("gone.git"))
    assert mr.Registry(url, offline=True).get("churn#current").version == "v0.1.0"
    with pytest.raises(mr.GitError, match="fetch"):
        mr.Registry(url, max_age=0)


def test_a_mirror_that_can_t_be_fetched_anew_is_read_as_it_is_with_a_warning(hub: Path) -> None:
    url = f"file://{hub}"
    mr.Registry(url)
    hub.rename(hub.with_name("gone.git"))
    with pytest.warns(mr.PartialViewWarning, match="can't be reached"):
        registry = mr.Registry(url, max_age=1e-6)
    with pytest.warns(mr.PartialViewWarning, match="can't be reached"):
        assert registry.get("churn#current").version == "v0.1.0"


def test_a_url_that_leads_nowhere_is_one_error_and_leaves_no_mirror(
    tmp_path: Path, environment: Path
) -> None:
    with pytest.raises(mr.GitError, match="clone"):
        mr.Registry(f"file://{tmp_path}/nothing.git")
    assert not list((environment / "cache").rglob("*.git"))


def test_a_registry_opened_by_its_url_writes_there(hub: Path) -> None:
    registry = mr.Registry(f"file://{hub}")
    assert registry.promote("churn", "v0.1.0", "shadow").stages == ("shadow",)
    assert mr.Registry(hub).get("churn#shadow").version == "v0.1.0"
    with pytest.raises(mr.InvalidInputError, match="push=False"):
        mr.Registry(f"file://{hub}", push=False)


def test_bytes_that_are_here_are_read_without_dvc(plain: Path) -> None:
    mr.Registry(plain).register("churn")
    code = (
        "import json, sys, modelregistry as mr\n"
        "mr.Registry('.').get('churn').local_path()\n"
        "print(json.dumps([name for name in ('dvc', 'fsspec', 'pandas', 'sklearn', 'joblib') if name in sys.modules]))"
    )
    assert python(plain, code) == []


@pytest.mark.parametrize("userinfo", ["canary-token", "ann:canary-token"])
def test_a_secret_in_a_url_reaches_no_log_error_or_repr(
    userinfo: str, hub: Path, plain: Path, caplog: pytest.LogCaptureFixture, environment: Path
) -> None:
    """A token is often written as the name, with no password after it."""
    url = f"http://{userinfo}@127.0.0.1:1/hub.git"
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    git(plain, "remote", "add", "origin", url)
    for call in (
        lambda: mr.Registry(url),
        lambda: mr.Registry(url, offline=True),
        lambda: mr.load_model("churn", registry=url),
        lambda: mr.Registry(plain).promote("churn", "v0.1.0", "shadow"),
        lambda: mr.Registry(plain).sync(),
    ):
        with pytest.raises(mr.RegistryError) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            told += [str(error), repr(error), str(vars(error))]
            error = error.__cause__ or error.__context__
    told += [repr(mr.Registry(plain)), caplog.text]
    if ":" not in userinfo:  # one that answers
        mirror = mr.Registry(hub.as_uri(), max_age=3600)
        mirror.target = url
        told.append(repr(mirror))
    assert not [text for text in told if "canary" in text]
    assert not [path for path in environment.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
