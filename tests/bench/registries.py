"""Builds what is measured: Git repositories with as many tags as asked for.

The tags are what this library writes: events made by its own rules and rendered by its own codec. A model has 20:
five versions are registered, put on the stage "shadow" and moved on to "current", which takes two tags. The
events of one model are made; the others have copies under their own names, which differ in nothing that is read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelregistry.backends.memory import MemoryBackend
from modelregistry.log import changes
from modelregistry.log.events import Bytes, FileDigest
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import render

EVENTS_PER_MODEL = 20
VERSIONS = [f"v0.1.{number}" for number in range(EVENTS_PER_MODEL // 4)]


def model_name(number: int) -> str:
    """The name of a model: all have the same length, so that a tag can be copied by replacing it."""
    return f"m{number:05}"


def isolate(folder: Path) -> None:
    """Give this process and its children a home of their own, where Git knows who is writing."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_", "MODELREGISTRY_", "XDG_"))]:
        del os.environ[name]
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # installed packages are compiled once, so ours may be too
    home = folder / "home"
    home.mkdir()
    settings = home / "gitconfig"
    settings.write_text(
        "[user]\n\tname = Ann Author\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    for name, value in {
        "HOME": home,
        "GIT_CONFIG_GLOBAL": settings,
        "DVC_SITE_CACHE_DIR": home / "dvc-site-cache",
        "DVC_SYSTEM_CONFIG_DIR": home / "dvc-system",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
    }.items():
        os.environ[name] = os.fspath(value)
    os.environ.update(GIT_CONFIG_NOSYSTEM="1", DVC_NO_ANALYTICS="1")


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What git prints: the peer of most rows."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=True
    ).stdout


def commit(folder: Path, message: str) -> str:
    """Commit everything; the id of the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", f"--message={message}")
    return git(folder, "rev-parse", "HEAD").decode().strip()


def make_registry(folder: Path, tags: int, *, declared: int = 5, loose: bool = False) -> Path:
    """A repository with so many tags; ``dvc.yaml`` declares the first ``declared`` models."""
    texts = tags_of_first_model(make_project(folder, declared=declared))
    add_tags(
        folder,
        (
            text.replace(model_name(0).encode(), model_name(number).encode())
            for number in range(tags // EVENTS_PER_MODEL)
            for text in texts
        ),
    )
    name = texts[-1].split(b"\n")[2].removeprefix(b"tag ").decode()
    found = git(folder, "rev-parse", f"refs/tags/{name}").decode().strip()
    assert found == hashlib.sha1(b"tag %d\0" % len(texts[-1]) + texts[-1]).hexdigest(), "not the rendered tag"
    if not loose:
        git(folder, "pack-refs", "--all", "--prune")
    return folder


def make_project(folder: Path, *, declared: int = 5) -> list[str]:
    """A repository without a tag whose ``dvc.yaml`` declares so many models; a commit for each version of a model."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").touch()
    entries = (
        f"  {model_name(number)}:\n    path: model.bin\n    type: model\n" for number in range(declared)
    )
    (folder / "dvc.yaml").write_text("artifacts:\n" + "".join(entries))
    git(folder, "init", "--quiet")
    revs = []
    for version in VERSIONS:
        (folder / "model.bin").write_text(version)
        revs.append(commit(folder, version))
    return revs


def add_tags(folder: Path, texts: Iterable[bytes]) -> None:
    """Write tag objects and their references, all at once."""
    git(folder, "fast-import", "--quiet", stdin=b"".join(map(_for_fast_import, texts)))


def tags_of_first_model(revs: list[str]) -> list[bytes]:
    """The tag objects of one model, the oldest first."""
    log, model = MemoryBackend(), model_name(0)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)

    def state() -> tuple[History, changes.Writer]:
        read = log.read(model)
        writer = changes.Writer(
            author="Ann Author", email="ann@example.com", now=start + timedelta(hours=len(read.events)),
            registry="5b0e9e4b2bd04f9a8d1c5a4d5f6e7a80", next_number=read.next_number,
            message="Trained on the customers of last month; better on the held-out quarter.",
        )  # fmt: skip
        return History(model, read.events, Stages()), writer

    def append(change: changes.Change) -> None:
        for event in change.events:
            assert log.append(event) is not None

    for version, rev in zip(VERSIONS, revs, strict=True):
        file = FileDigest(
            path="model.bin", sha256=hashlib.sha256(version.encode()).hexdigest(), size=len(version)
        )
        content = Bytes(f"sha256:{file.sha256}", f"git:{rev}", file.size, (file,))
        metadata = {"accuracy": 0.93, "dataset": "customers-2026-10", "features": ["age", "tenure", "plan"]}
        append(changes.register(*state(), rev=rev, content=content, version=version, metadata=metadata))
        append(changes.promote(*state(), version, "shadow"))
        append(changes.promote(*state(), version, "current"))
    events = log.read(model).events
    assert len(events) == EVENTS_PER_MODEL
    return [render(event) for event in events]


def _for_fast_import(tag: bytes) -> bytes:
    """A tag object as a command for ``git fast-import``."""
    header, _, body = tag.partition(b"\n\n")
    oid, _, name, tagger = (line.partition(b" ")[2] for line in header.split(b"\n"))
    return b"tag %s\nfrom %s\ntagger %s\ndata %d\n%s\n" % (name, oid, tagger, len(body), body)


def copy(folder: Path, name: str) -> Path:
    """A twin of the repository beside it."""
    return shutil.copytree(folder, folder.with_name(name), symlinks=True)
