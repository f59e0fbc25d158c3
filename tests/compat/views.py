"""One registry, seen by the three that read it: by us, by GTO and by DVC; and GTO as a writer of its own tags."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvc.api
import gto.api
from gto.constants import VersionSort

from modelregistry import Registry
from modelregistry.errors import SeveralHoldersError, StageEmptyError
from modelregistry.log.history import History
from modelregistry.names import version_key

START = 1_700_000_000
"""The time of the first tag that a test dates itself, in seconds; its commits are older."""


@dataclass(frozen=True)
class Seen:
    """What a reader answers about one model."""

    versions: frozenset[str]
    """Those that are served."""
    latest: str | None
    holders: dict[str, str]
    """By stage; stages without a holder are left out."""
    deprecated: bool


def table_of_gto(root: Path, **options: Any) -> dict[str, Any]:
    """What ``gto show`` says; stages of commits that are no version are left out."""
    return gto.api.show(root, deprecated=True, registered_only=True, **options)


def seen_by_gto(root: Path, model: str, table: dict[str, Any] | None = None) -> Seen:
    """What ``gto show`` (the ``table``, where it is at hand) and ``gto show MODEL`` say."""
    row = (table or table_of_gto(root))[model]
    return Seen(
        versions=frozenset(shown_by_gto(root, model)),
        latest=row["version"],
        holders={stage: version for stage, version in row["stage"].items() if version},
        deprecated=not row["active"],
    )


def shown_by_gto(root: Path, model: str) -> dict[str, set[str]]:
    """The versions that ``gto show MODEL`` lists, a deprecated model's too, with the stages it writes beside each."""
    rows = gto.api.show(root, model, deprecated=True, registered_only=True)
    served = [row for row in rows if row["is_active"] and row["registrations"]]
    return {row["version"]: {stage["stage"] for stage in row["stages"] if not_sha(row)} for row in served}


def not_sha(row: dict[str, Any]) -> bool:
    """Whether the row is a version, not a commit that GTO treats like one."""
    return str(row["version"]).startswith("v")


def seen_by_us(registry: Registry, model: str) -> Seen:
    """What the public verbs of ``Registry`` say."""
    versions = registry.versions(model)
    row = next(row for row in registry.models(type=None, deprecated=True) if row.name == model)
    stages = {stage for event in registry.history(model) if (stage := getattr(event, "stage", None))}
    return Seen(
        versions=frozenset(version.version for version in versions),
        latest=registry.get(model).version if versions else None,
        holders={stage: version for stage in stages if (version := holder(registry, model, stage))},
        deprecated=row.deprecated,
    )


def holder(registry: Registry, model: str, stage: str) -> str | None:
    """The version that holds the stage, as ``get`` says; the one assigned last where several share it."""
    try:
        return registry.get(model, stage=stage).version
    except StageEmptyError:
        return None
    except SeveralHoldersError as error:
        return error.holders[0]


def expected_of_gto(ours: Seen, still_counted: dict[str, str]) -> Seen:
    """What GTO must answer where we answer ``ours``.

    The exceptions, and there are no others: GTO's latest version counts pre-releases; and a stage on which an
    assignment is older than the registration of its commit, and ended in between, is one that GTO still counts.
    """
    return Seen(
        versions=ours.versions,
        latest=max(ours.versions, key=version_key, default=None),
        holders=ours.holders | still_counted,
        deprecated=ours.deprecated,
    )


def ended_unseen(history: History, theirs: Seen, ours: Seen) -> dict[str, str]:
    """The stages where GTO may name another holder: its version was put there before it was one, and ended since.

    When a rollback or a demotion ended that assignment, the commit was no version, so that there was nothing to
    repeat for GTO.
    """
    found: dict[str, str] = {}
    for stage, version in theirs.holders.items():
        if ours.holders.get(stage) == version:
            continue
        registered = history.versions[version].registered
        tagged = [
            event
            for event in history.events
            if getattr(event, "stage", None) == stage and event.rev == registered.rev
        ]
        early = tagged[-1].kind == "assign" and tagged[-1].at < registered.at
        ended = any(
            event.kind in ("assign", "unassign") and (getattr(event, "empties", False) or getattr(event, "restores", None))
            and tagged[-1].at < event.at < registered.at
            for event in history.events if getattr(event, "stage", None) == stage
        )  # fmt: skip
        if early and ended and version not in history.standing(stage):
            found[stage] = version
    return found


def seen_by_dvc(root: Path, registry: Registry, model: str, **wanted: str) -> str:
    """The version whose commit ``dvc.api.artifacts_show`` names; withdrawn ones are versions too."""
    rev = dvc.api.artifacts_show(model, repo=os.fspath(root), **wanted)["rev"]
    everyone = [*registry.versions(model), *registry.versions(model, stage="withdrawn")]
    return next(version.version for version in everyone if version.rev == rev)


def holder_by_gto(root: Path, model: str, stage: str) -> str | None:
    """What ``gto show MODEL#STAGE`` names, be it a version or a bare commit."""
    rows = gto.api.show(root, f"{model}#{stage}", sort=VersionSort.Timestamp)
    return rows[0]["version"] if rows else None


def git(root: Path, *arguments: str, stdin: bytes = b"") -> str:
    """What git prints."""
    done = subprocess.run(
        ["git", "-C", os.fspath(root), *arguments], input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def tags(root: Path) -> list[str]:
    """The names of all tags, oldest first."""
    return git(root, "for-each-ref", "--sort=creatordate", "--format=%(refname:strip=2)", "refs/tags").split()


def commits_with(count: int, files: Iterable[dict[str, str]] = ()) -> Iterator[str]:
    """A branch of ``count`` commits for ``git fast-import``; the last ``files`` are those of its head."""
    contents = list(files) or [{}]
    for number in range(count):
        yield f"commit refs/heads/main\nmark :{number + 1}\n"
        yield f"committer Ann Author <ann@example.com> {START - 1000 + number} +0000\ndata <<E\ncommit {number}\nE\n"
        for path, text in (contents[min(number, len(contents) - 1)] | {"n": str(number)}).items():
            yield f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n"


def tag_command(
    name: str, commit: str, seconds: int, text: str, who: str = "Ann Author <ann@example.com>"
) -> str:
    """One annotated tag for ``git fast-import``; ``commit`` is an id or a mark."""
    return f"tag {name}\nfrom {commit}\ntagger {who} {seconds} +0000\ndata {len(text.encode())}\n{text}\n"


def import_into(root: Path, commands: Iterable[str]) -> None:
    """Run ``git fast-import``."""
    git(root, "fast-import", "--quiet", stdin="".join(commands).encode())


def new_repository(root: Path, commands: Iterable[str]) -> Path:
    """A repository with what ``git fast-import`` made of the commands, checked out."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--template=", "--initial-branch=main")
    # GTO's libgit2 has its own idea of where the user's settings are.
    with open(root / ".git" / "config", "a", encoding="utf-8") as file:
        file.write("[user]\n\tname = Ann Author\n\temail = ann@example.com\n")
    import_into(root, commands)
    git(root, "reset", "--quiet", "--hard", "main")
    return root


def gto_words(action: str, model: str, version: str | None = None, stage: str | None = None) -> str:
    """The message that GTO gives a tag by default."""
    return {
        "register": f"Registering artifact {model} version {version}",
        "deregister": f"Deregistering artifact {model} version {version}",
        "assign": f"Assigning stage {stage} to artifact {model} version {version}",
        "unassign": f"Unassigning stage '{stage}' to artifact '{model}' version '{version}'",
        "deprecate": f"Deprecating artifact '{model}'",
    }[action]


class GtoWriter:
    """The real ``gto.api``, and after each call its tags are dated a minute later than everything before.

    GTO dates by the wall clock in whole seconds and can't be told another time. Setting the one number afterwards
    stands for the minute that people let pass between two decisions.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, verb: str, model: str, *arguments: Any, **options: Any) -> list[str]:
        """Call ``gto.api.<verb>``; returns the names of the tags that it wrote, oldest first."""
        before = set(tags(self.root))
        clock = max([START, *map(int, self._times())])
        getattr(gto.api, verb)(self.root, model, *arguments, **options)
        # An assignment registers its commit first, where that is wanted.
        written = sorted(set(tags(self.root)) - before, key=lambda name: "@" not in name)
        for minute, name in enumerate(written, start=1):
            self.date(name, clock + 60 * minute)
        return written

    def _times(self) -> list[str]:
        return git(self.root, "for-each-ref", "--format=%(taggerdate:unix)", "refs/tags").split()

    def date(self, name: str, seconds: int) -> None:
        """Give the tag another time; nothing else of it changes."""
        raw = subprocess.run(
            ["git", "-C", os.fspath(self.root), "cat-file", "tag", f"refs/tags/{name}"],
            capture_output=True,
            check=True,
        ).stdout
        header, separator, text = raw.partition(b"\n\n")
        who, _, _ = header.rpartition(b" ")[0].rpartition(b" ")
        dated = who + b" %d +0000" % seconds + separator + text
        oid = git(self.root, "hash-object", "-t", "tag", "-w", "--stdin", stdin=dated)
        git(self.root, "update-ref", f"refs/tags/{name}", oid)
