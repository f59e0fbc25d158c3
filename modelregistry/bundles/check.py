"""Whether a bundle is what it says: its bytes, its history, its events, and all of them together, before any is used."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from modelregistry.bundles.file import BundleFile, Manifest, Member
from modelregistry.content.store import hash_file
from modelregistry.errors import GitError, IntegrityError, InvalidFileError
from modelregistry.git.history import read_history
from modelregistry.git.repo import GitRepo
from modelregistry.log.events import Event, Registered
from modelregistry.log.tags import RawTag, parse
from modelregistry.progress import Report
from modelregistry.project.dvcfiles import object_path

HISTORY = "history.bundle"
"""The member with the Git history."""
DVC = "dvc"
"""The folder of the members that are objects of DVC's."""
TAGS = "refs/tags/"
BRANCHES = "refs/heads/"
_OBJECT = re.compile(rf"{DVC}/((?:files/md5/)?)([0-9a-f]{{2}})/([0-9a-f]{{30}})((?:\.dir)?)")


class Checked(NamedTuple):
    """A bundle of which every byte is right, laid out in a folder."""

    repo: GitRepo
    refs: Mapping[str, str]
    events: Sequence[Event]
    head: str | None
    manifest: Manifest
    objects: Path
    """The folder of the objects that are not where they belong yet."""

    def oid(self, event: Event) -> str:
        """The tag that keeps the event."""
        return self.refs[f"{TAGS}{event.source}"]

    @property
    def branch(self) -> str:
        """The reference of the default branch, where there is one."""
        return f"{BRANCHES}{self.manifest.branch}"


def check(file: Path, folder: Path) -> None:
    """Read a bundle as ``unbundle`` does, in a temporary folder in ``folder``, and write nothing else.

    Raises:
        InvalidFileError: It is no whole bundle, or not what it says.
        IntegrityError: Bytes of it were changed.
    """
    with BundleFile.open(file) as source, tempfile.TemporaryDirectory(dir=folder) as place:
        lay_out(source, Path(place), None)


def lay_out(
    source: BundleFile, folder: Path, there: Path | None, report: Report = lambda _done, _total: None
) -> Checked:
    """Everything of the bundle, checked, in ``folder``; objects that are ``there`` already are not laid out again.

    Raises:
        InvalidFileError: It is no whole bundle, or not what it says.
        IntegrityError: Bytes of it were changed.
    """
    manifest = source.manifest
    history, objects = folder / HISTORY, folder / "objects"
    if [member.path for member in manifest.files[:1]] != [HISTORY]:
        raise InvalidFileError(
            f"the bundle does not begin with {HISTORY!r}; nothing was written", path=HISTORY
        )
    for member, chunks in source.members(report):
        if member.path == HISTORY:
            _copy(chunks, history)
        else:
            _write_object(member, chunks, objects, there)
    repo, refs = read_history(history, folder / "repository")
    history.unlink()
    events = _events(repo, refs)
    _agree(repo, manifest, refs, events)
    head = refs.get(f"{BRANCHES}{manifest.branch}") if manifest.branch is not None else None
    return Checked(repo, refs, events, head, manifest, objects)


def _copy(chunks: Iterable[bytes], target: Path) -> None:
    with open(target, "wb") as file:
        file.writelines(chunks)


def _write_object(member: Member, chunks: Iterator[bytes], objects: Path, there: Path | None) -> None:
    """One of DVC's objects, whose name says what its md5 has to be."""
    match = _OBJECT.fullmatch(member.path)
    if match is None:
        raise InvalidFileError(
            f"the bundle has a file {member.path!r}, which no bundle has; nothing was written",
            path=member.path,
        )
    name = member.path.removeprefix(f"{DVC}/")
    known = there / name if there is not None else None
    if known is not None and known.is_file() and hash_file(known).sha256 == f"sha256:{member.sha256}":
        target = Path(os.devnull)
    else:
        target = objects / name
        target.parent.mkdir(parents=True, exist_ok=True)
    md5 = hashlib.md5(usedforsecurity=False)
    with open(target, "wb") as file:
        for chunk in chunks:
            md5.update(chunk)
            file.write(chunk)
        file.flush()
        if target != Path(os.devnull):
            os.fsync(file.fileno())
            target.chmod(0o444)
    expected = match[2] + match[3]
    # DVC 2 hashed text with its line ends changed: those files are held by their sha256 alone.
    if match[1] and md5.hexdigest() != expected:
        raise IntegrityError(
            f"{member.path!r} in the bundle has the md5 {md5.hexdigest()}, which is not its name; nothing was written",
            path=member.path, expected=f"md5:{expected}", found=f"md5:{md5.hexdigest()}",
        )  # fmt: skip


def _events(repo: GitRepo, refs: Mapping[str, str]) -> list[Event]:
    """The events that the tags are, oldest first; every one must be one."""
    tags = [(ref.removeprefix(TAGS), oid) for ref, oid in refs.items() if ref.startswith(TAGS)]
    found: list[Event] = []
    for (name, oid), (kind, data) in zip(tags, repo.tag_objects([oid for _, oid in tags]), strict=True):
        event = parse(RawTag(name, oid, kind, data))
        if not isinstance(event, Event):
            why = event.reason if event is not None else "its name is that of no event"
            raise InvalidFileError(
                f"the bundle has a tag {name!r} that is no event: {why}; nothing was written", path=HISTORY
            )
        found.append(event)
    return sorted(found, key=lambda event: (event.at, event.model, event.order))


def _agree(repo: GitRepo, manifest: Manifest, refs: Mapping[str, str], events: Sequence[Event]) -> None:
    """Refuse a history that is another one than the manifest tells of."""
    models = {name.rpartition("@")[0] for name in manifest.versions}
    branches = [ref for ref in refs if not ref.startswith(TAGS)]
    if branches != ([f"{BRANCHES}{manifest.branch}"] if manifest.branch is not None else []):
        raise _contradiction(f"its branches are {branches!r}, and its manifest says {manifest.branch!r}")
    for branch in branches:
        try:
            repo.run("check-ref-format", branch)
            repo.resolve(refs[branch])
        except (GitError, LookupError) as error:
            raise _contradiction(f"{branch!r} is no branch") from error
    if {event.model for event in events} != models:
        raise _contradiction("it has events of other models than its manifest says")
    registries = {event.registry for event in events if event.registry is not None}
    if registries and manifest.registry not in registries:
        raise _contradiction("its events are of another registry than its manifest says")
    registered = {
        f"{event.model}@{event.version}": event for event in events if isinstance(event, Registered)
    }
    held = {member.path: member.sha256 for member in manifest.files}
    for name in manifest.versions:
        if name not in registered:
            raise _contradiction(f"it has no registration of {name}")
        for file in registered[name].files:
            path = object_path(f"md5:{file.md5}") if file.md5 else None
            if path is not None and file.sha256 and held.get(f"{DVC}/{path}") != file.sha256:
                raise _contradiction(f"{file.path!r} of {name} is not in it as it was registered")


def _contradiction(why: str) -> InvalidFileError:
    return InvalidFileError(f"the bundle contradicts itself: {why}; nothing was written", path=HISTORY)
