"""A project that makes models and registers them, and one of a team that brings them in: built by real DVC, copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelregistry import Registry
from tests.integration.pipelines import dvcs
from tests.integration.projects import commit, git, init, visible, write
from tests.integration.remotes import object_name
from tests.s3 import KEY, S3, SECRET

MAKER = """\
stages:
  train:
    cmd: mkdir -p models && cat data.csv > models/churn.txt
    deps: [data.csv]
    outs: [models/churn.txt]
artifacts:
  churn:
    path: models/churn.txt
    type: model
    desc: who leaves
    labels: [tabular]
    meta: {loader: path}
  pack: {path: bundle, type: model}
  lost: {path: lost.bin}
  damaged: {path: damaged.bin}
"""


@dataclass(frozen=True)
class World:
    """The folder with both."""

    top: Path

    @property
    def maker(self) -> Path:
        """Makes ``churn`` (v0.1.0 is current, v0.2.0 is at the head), and things in DVC, in Git and in a sub-project."""
        return self.top / "maker"

    @property
    def team(self) -> Path:
        """Has nothing yet but a DVC remote."""
        return self.top / "team"

    @property
    def registry(self) -> Registry:
        """The team's."""
        return Registry(self.team)

    @property
    def url(self) -> str:
        """The maker's, as a URL."""
        return self.maker.as_uri()

    def retrain(self, data: str) -> str:
        """The maker's next commit, whose ``churn`` has these bytes."""
        write(self.maker / "data.csv", data)
        dvcs(self.maker, ["repro", "--quiet"], ["push", "--quiet"])
        return commit(self.maker, f"Train on {data}")


@contextmanager
def known_to_git(top: Path) -> Iterator[pytest.MonkeyPatch]:
    settings = write(
        top / "gitconfig",
        "[user]\n\tname = Ann Author\n\temail = ann@example.com\n[commit]\n\tgpgSign = false\n",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": top, "GIT_CONFIG_GLOBAL": settings, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": top / "site", "MODELREGISTRY_HOME": top / "own", "MODELREGISTRY_CACHE": top / "own",
        }.items():  # fmt: skip
            patch.setenv(name, os.fspath(value))
        yield patch


def build(top: Path) -> None:
    with known_to_git(top):
        for name, shelf in (("maker", "storage"), ("team", "shelf")):
            root = init(top / "world" / name)
            dvcs(root, ["init", "--quiet"])
            _add_remote(root, f"../../{shelf}")
            commit(root, "Begin")
        world = World(top / "world")
        root = world.maker
        write(root / "dvc.yaml", MAKER)
        write(root / "data.csv", "one\n")
        write(root / "bundle" / "a.bin", b"\0a")
        write(root / "bundle" / "deep" / "b.bin", b"\0b")
        write(root / "nlp" / "intent.bin", b"intent")
        write(root / "nlp" / "dvc.yaml", "artifacts:\n  intent: {path: intent.bin, type: model}\n")
        write(root / "plain" / "rules.json", '{"rule": 1}')
        write(root / "plain" / "deep" / "x.csv", "1,2\n")
        write(root / "sub" / "risk.bin", b"risk")
        for name in ("lost", "damaged"):
            write(root / f"{name}.bin", name)
        added = ["bundle", "nlp/intent.bin", "lost.bin", "damaged.bin"]
        dvcs(root, ["add", "--quiet", *added], ["repro", "--quiet"], ["push", "--quiet"])
        dvcs(root / "sub", ["init", "--quiet", "--subdir"])
        _add_remote(root / "sub", "../../../storage-of-sub")
        dvcs(root / "sub", ["add", "--quiet", "risk.bin"], ["push", "--quiet"])
        commit(root, "Train 1")
        world.retrain("two\n")
        _lose(world)
        made = Registry(root)
        made.register("churn", rev="main~1")
        made.register("churn", bump="minor")
        made.promote("churn", "v0.1.0", "current")


def _add_remote(root: Path, url: str) -> None:
    with (root / ".dvc" / "config").open("a") as file:
        file.write(f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {url}\n")


def _lose(world: World) -> None:
    """Nothing has the bytes of ``lost`` any more, and the remote has others in place of ``damaged``."""
    for folder in (world.maker / ".dvc" / "cache", world.top / "storage"):
        (folder / object_name(b"lost")).unlink()
        damaged = folder / object_name(b"damaged")
        damaged.unlink()
        if folder.name == "storage":
            write(damaged, b"hostile")


def copy_of(top: Path, to: Path) -> World:
    shutil.copytree(top / "world", to, symlinks=True)
    return World(to)


def hub_of(root: Path) -> Path:
    """A bare repository that a project is shared through from now on."""
    hub = root.parent / f"{root.name}.git"
    git(root, "clone", "--quiet", "--bare", os.fspath(root), os.fspath(hub))
    git(root, "remote", "add", "origin", os.fspath(hub))
    return hub


def use_s3(s3: S3, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Have whoever reads S3 go to the server, with a login that it takes."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": s3.address, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": home / "none", "AWS_SHARED_CREDENTIALS_FILE": home / "none",
    }.items():  # fmt: skip
        patch.setenv(name, os.fspath(value))
    s3.reset()


def seen(root: Path) -> dict[str, object]:
    """What anyone can see of a project, but for logs, the times in the index, and what is only in DVC's own cache."""
    passed_by = (".git/logs", ".git/index", ".git/COMMIT_EDITMSG", ".dvc/tmp", ".dvc/cache")
    found = {name: data for name, data in visible(root).items() if not name.startswith(passed_by)}
    return found | {"index": git(root, "ls-files", "--stage")}


def killed(call: str) -> str:
    """A program that makes the call and is killed at a rename, a link or a start of a program, the ``sys.argv[3]``-th."""
    return f"""
import os, signal, sys
import modelregistry as mr
left = int(sys.argv[3])
def hook(event, arguments):
    global left
    if event in ("os.rename", "os.link", "subprocess.Popen"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
{call}
print(left)
"""
