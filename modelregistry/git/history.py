"""A registry's Git history in one file, as ``git bundle`` has it: written the same each time, read into a repository apart.

The references are in the file's head, and a pack with all that they need follows. Whoever has nothing but git can
``git clone`` it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from modelregistry.errors import GitError, InvalidFileError, RefusedError
from modelregistry.git.call import GitCall
from modelregistry.git.repo import GitRepo

SECONDS = 3600.0
"""What git may take for a whole history."""
_HEADS = {40: b"# v2 git bundle\n", 64: b"# v3 git bundle\n@object-format=sha256\n"}
_FORMATS = {40: "sha1", 64: "sha256"}
_REF = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\0-\x20\x7f]+)\n")
_MOST_REFS = 1_000_000
_LONGEST_LINE = 4096
_ALLOWED_MEMORY = "1g"
"""For any one object: what a few bytes of a pack can ask for has no other end."""
# How git wrote down people and modes in its early days hurts nobody; what could lead a checkout astray stays an error.
_HARMLESS = (
    "badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "missingEmail", "missingNameBeforeEmail",
    "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "zeroPaddedDate", "zeroPaddedFilemode",
)  # fmt: skip


def write_history(repo: GitRepo, refs: Mapping[str, str], folder: Path) -> Path:
    """The file, in ``folder``: the references and all that they need, which must be in the repository.

    Raises:
        RefusedError: Older commits, or what was left out of a partial clone, are missing.
        GitError: Something is damaged.
    """
    if repo.is_shallow:
        raise RefusedError(
            f"{repo!r} is a shallow clone, and a bundle carries the whole history: 'git fetch --unshallow --tags' first"
        )
    tips = sorted(set(refs.values()))
    _complete(repo, tips)
    width = len(next(iter(refs.values())))
    target = folder / "history.bundle"
    with open(target, "wb") as file:
        file.write(_HEADS[width])
        file.writelines(f"{oid} {ref}\n".encode() for ref, oid in sorted(refs.items()))
        file.write(b"\n")
        repo.pack(tips, file, timeout=SECONDS)
    return target


def _complete(repo: GitRepo, tips: Sequence[str]) -> None:
    """Bring what a partial clone left out."""
    if repo.bring is None or not any((repo.common_dir / "objects" / "pack").glob("*.promisor")):
        return
    output = repo.run(
        "rev-list", "--objects", "--missing=print", "--stdin",
        stdin="".join(f"{oid}\n" for oid in tips).encode(), timeout=SECONDS,
    ).decode()  # fmt: skip
    missing = [line[1:] for line in output.splitlines() if line.startswith("?")]
    if missing:
        repo.bring(missing)


def read_history(file: Path, place: Path) -> tuple[GitRepo, dict[str, str]]:
    """A bare repository at ``place`` that holds what the file has, checked by git, and the references, not made yet.

    Raises:
        InvalidFileError: It is no such file, or not a whole one.
    """
    try:
        with open(file, "rb") as source:
            refs, width = _read_head(source, file)
            GitCall(None, place.parent).run(
                [
                    "init",
                    "--quiet",
                    "--bare",
                    "--template=",
                    f"--object-format={_FORMATS[width]}",
                    "--",
                    os.fspath(place),
                ]
            )
            repo = GitRepo(place)
            _unpack(repo, source)
            known = repo.read(list(dict.fromkeys(refs.values())), limit=0)
    except GitError as error:
        raise _broken(file, f"git says of it: {error}") from error
    if None in known:
        raise _broken(file, "it lacks what its references name")
    return repo, refs


def _read_head(source: IO[bytes], file: Path) -> tuple[dict[str, str], int]:
    first = source.readline(_LONGEST_LINE)
    width = next((width for width, head in _HEADS.items() if head.startswith(first) and first), 0)
    rest = _HEADS[width][len(first) :] if width else b""
    if not width or source.read(len(rest)) != rest:
        raise _broken(file, "it does not begin as one")
    refs: dict[str, str] = {}
    while (line := source.readline(_LONGEST_LINE)) != b"\n":
        match = _REF.fullmatch(line)
        if match is None or len(match[1]) != width or len(refs) >= _MOST_REFS:
            raise _broken(file, f"it has a line {line[:100]!r} where references are")
        ref = match[2].decode("utf-8", "surrogateescape")
        if ref in refs:
            raise _broken(file, f"it has the reference {ref!r} twice")
        refs[ref] = match[1].decode()
    if not refs:
        raise _broken(file, "it has no references")
    return refs, width


def _unpack(repo: GitRepo, source: IO[bytes]) -> None:
    """Let git take the pack in: every object is hashed, and everything that one names must be there."""
    folder = repo.common_dir / "objects" / "pack"
    folder.mkdir(parents=True, exist_ok=True)
    pack = folder / "incoming.pack"
    with open(pack, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())  # git does so with what it writes itself
    strict = ",".join(f"{each}=ignore" for each in _HARMLESS)
    name = repo.run(
        "index-pack", f"--strict={strict}", "--threads=1", os.fspath(pack),
        timeout=SECONDS, environment={"GIT_ALLOC_LIMIT": _ALLOWED_MEMORY},
    ).decode().split()[-1]  # fmt: skip
    for each in folder.glob("incoming.*"):
        each.chmod(0o444)
        each.rename(folder / f"pack-{name}{each.suffix}")


def adopt(repo: GitRepo, staged: GitRepo) -> None:
    """Give the repository the objects of another one on the same file system, which loses them."""
    target = repo.common_dir / "objects" / "pack"
    target.mkdir(parents=True, exist_ok=True)
    # The index last: by it git finds a pack.
    for suffix in (".pack", ".rev", ".idx"):
        for file in (staged.common_dir / "objects" / "pack").glob(f"pack-*{suffix}"):
            if (target / file.name).exists():
                continue
            file.rename(target / file.name)


def create_in_order(repo: GitRepo, refs: Iterable[tuple[str, str]]) -> None:
    """Create references one after the other, each at its object, by one git; a crash leaves the first of them.

    Raises:
        GitError: One is there already, or git can't; those before it are made.
    """
    lines = "".join(f"start\ncreate {name} {oid}\ncommit\n" for name, oid in refs)
    if lines:
        with repo.guard():
            repo.run("update-ref", "--stdin", stdin=lines.encode(), timeout=SECONDS)


def create_unseen(repo: GitRepo, refs: Mapping[str, str]) -> None:
    """Create references in a repository that nobody sees yet: at once, and durable when all are written."""
    lines = "".join(f"create {name} {oid}\n" for name, oid in refs.items())
    repo.run("-c", "core.fsync=none", "update-ref", "--stdin", stdin=lines.encode(), timeout=SECONDS)
    repo.run("pack-refs", "--all", timeout=SECONDS)


def _broken(file: Path, why: str) -> InvalidFileError:
    return InvalidFileError(
        f"{file.name!r} in the bundle is no whole Git history: {why}; nothing was written", path=file.name
    )
