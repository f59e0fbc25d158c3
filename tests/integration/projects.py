"""Projects that the tests work on, what can be seen of them, and processes that work on them too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from modelregistry.artifacts.base import Entry

TOP = Path(__file__).parents[2]


def run(folder: Path, *command: str, stdin: bytes | None = None, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, input=stdin, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode(errors="surrogateescape").strip()


def git(folder: Path, *arguments: str, stdin: bytes | None = None, **environment: str) -> str:
    return run(folder, "git", *arguments, stdin=stdin, **environment)


def dvc(folder: Path, *arguments: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def gto(folder: Path, *arguments: str) -> str:
    return run(folder, sys.executable, "-c", "from gto.cli import app; app()", *arguments)


def python(folder: Path, code: str, *arguments: str) -> object:
    """What ``code`` prints as JSON, run by another Python in ``folder``."""
    return json.loads(
        run(folder, sys.executable, "-c", code, *arguments, PYTHONPATH=os.fspath(TOP)) or "null"
    )


def landing(folder: Path) -> Callable[[Entry, Path], object]:
    """What a storage gives its files to: each gets the name of its address in the folder."""
    return lambda entry, file: file.replace(folder / entry.address.replace(":", "-"))


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def commit(folder: Path, message: str = "more") -> str:
    """Commit everything; returns the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def init(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    git(folder, "config", "user.name", "Ann Author")  # GTO looks nowhere else
    git(folder, "config", "user.email", "ann@example.com")
    return folder


def put_tag(folder: Path, name: str, data: bytes, kind: str = "tag") -> str:
    """A tag that is ``data``, whatever Git thinks of it; returns the object's id."""
    oid = git(folder, "hash-object", "-w", "--literally", "-t", kind, "--stdin", stdin=data)
    write(folder / git_dir(folder) / "refs" / "tags" / name, oid + "\n")
    return oid


def git_dir(folder: Path) -> str:
    return git(folder, "rev-parse", "--git-dir")


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, Git's own too, with its content (of objects, only that they are there)."""
    return {
        path.relative_to(folder).as_posix(): b"" if "objects" in path.parts else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def visible(folder: Path) -> Mapping[str, object]:
    """What anyone can see of a repository: its references, its index and its files; not its unnamed objects."""
    return {name: data for name, data in everything(folder).items() if "objects" not in name.split("/")}
