"""bundle(): versions of models with their history, events and bytes in one file, to be carried where no network leads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from modelregistry.backends.base import Log
from modelregistry.bundles import file as bundlefile
from modelregistry.bundles.check import BRANCHES, DVC, HISTORY, TAGS, check
from modelregistry.bundles.file import Source
from modelregistry.config import read_settings
from modelregistry.display.shown import shown
from modelregistry.errors import InvalidInputError, RefusedError, RegistryError
from modelregistry.git.history import write_history
from modelregistry.git.repo import GitRepo
from modelregistry.log.events import Event
from modelregistry.log.tags import render, tag_name, tag_prefix
from modelregistry.progress import Progress, reported
from modelregistry.version import ModelVersion

_TRACKED = "refs/remotes/origin/"
_MAIN = "main"
_GIT = "git"


@shown
class Bundled(NamedTuple):
    """What went into a bundle."""

    path: Path
    """The file."""
    size: int
    """Its bytes."""
    versions: tuple[str, ...]
    """The versions whose bytes are in it, as ``name@version``."""
    events: int
    """Events of their models, all of them."""
    left: tuple[str, ...]
    """Tags of their models that are no events: they stayed behind."""


def bundle(
    repo: GitRepo,
    versions: Sequence[ModelVersion],
    logs: Sequence[Log],
    file: Path,
    *,
    in_tags: bool,
    objects: Callable[[ModelVersion], Mapping[str, Path | bytes]],
    overwrite: bool,
    progress: Progress = None,
) -> Bundled:
    """Write the bundle; it is there whole, and was read back, or not at all.

    Args:
        repo: The repository.
        versions: The versions whose bytes go into it.
        logs: The logs of their models, with records.
        file: The file to write.
        in_tags: Whether the logs are kept in the repository's tags; else tags are made of them.
        objects: Brings what of a version is not in Git.
        overwrite: Replace a file that is there.
        progress: Who is told while the file is written.

    Raises:
        RefusedError: This clone has not all that belongs into it.
        InvalidInputError: The file is there already, or can't be written.
        MissingBytesError: Bytes are nowhere to be had.
        IntegrityError: They are not the registered bytes.
        GitError: The repository is damaged.
    """
    file = file.absolute()  # git works in another folder
    if not versions:
        raise InvalidInputError("a bundle of no version: name some, such as ['churn#current']")
    if file.is_dir() or not file.parent.is_dir():
        raise InvalidInputError(
            f"the bundle can't be written to {os.fspath(file)!r}: it has to be a file in a folder that is there"
        )
    if file.exists() and not overwrite:
        raise InvalidInputError(
            f"there is something at {os.fspath(file)!r} already: overwrite=True replaces it"
        )
    backend = read_settings(repo).backend
    if backend not in (None, _GIT):
        raise RefusedError(
            f"the team's settings say that the log is kept in {backend!r}, and a bundle keeps it in tags, which its readers "
            "would have to refuse: take 'backend' out of the settings first"
        )
    events = sorted((event for log in logs for event in log.events), key=lambda event: event.order)
    repo.read(
        list(dict.fromkeys(event.rev for event in events)), limit=0
    )  # those that are not here are brought
    refs = _present(repo, events) if in_tags else _made(repo, logs)
    branch, head = _head(repo)
    if branch is not None and head is not None:
        refs[f"{BRANCHES}{branch}"] = head
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
            place = Path(folder)
            sources = [Source(HISTORY, write_history(repo, refs, place))]
            found = {name: each for version in versions for name, each in objects(version).items()}
            for name, each in sorted(found.items()):
                if isinstance(each, bytes):
                    listing = place / name.replace("/", "-")
                    listing.write_bytes(each)
                    each = listing  # noqa: PLW2901
                sources.append(Source(f"{DVC}/{name}", each))
            names = sorted({version.reference for version in versions})
            registry = next((event.registry for event in events if event.registry is not None), None)
            with reported(progress, f"writing {file.name!r}") as report:
                size = bundlefile.write(
                    file, sources, registry=registry, branch=branch, versions=names,
                    check=lambda written: check(written, place), report=report,
                )  # fmt: skip
    except RegistryError:
        raise
    except OSError as error:
        raise InvalidInputError(f"the bundle can't be written to {os.fspath(file)!r}: {error}") from error
    left = tuple(each.name for log in logs for each in log.quarantined)
    return Bundled(file, size, tuple(names), len(events), left)


def _present(repo: GitRepo, events: Sequence[Event]) -> dict[str, str]:
    """The tags that keep the events."""
    prefixes = {tag_prefix(event.model) for event in events}
    known = dict(
        repo.refs(*(f"{TAGS}{prefix}{glob}" for prefix in prefixes for glob in ("@*", "#*", "#*/**")))
    )
    names = [f"{TAGS}{event.source}" for event in events]
    if lost := [name for name in names if name not in known]:
        raise RefusedError(f"the tag {lost[0]!r} went away while it was bundled: try again")
    return {name: known[name] for name in names}


def _made(repo: GitRepo, logs: Sequence[Log]) -> dict[str, str]:
    """Tag objects for events that are kept elsewhere; no reference here names them."""
    return {
        f"{TAGS}{tag_name(event)}": repo.write_tag(record if record is not None else render(event))
        for log in logs
        for event, record in log.entries()
    }


def _head(repo: GitRepo) -> tuple[str | None, str | None]:
    """The default branch, where the settings are, and its commit; nothing in a repository without one."""
    names = repo.default_branches()
    for name, found in zip(names, repo.read(names, limit=0), strict=True):
        if found is not None:
            branch = name.removeprefix(BRANCHES).removeprefix(_TRACKED)
            return (_MAIN if branch == "HEAD" else branch), found.oid
    return None, None
