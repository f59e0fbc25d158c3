"""The log in Git: one event, one annotated tag, one reference."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cached_property

from modelregistry.backends.base import Backend, Capabilities, Log, Outline, Record, Synced
from modelregistry.backends.gitsharing import Sharing
from modelregistry.collector import paused
from modelregistry.errors import GitError, RefusedError, RemoteError
from modelregistry.git.remote import GitRemote
from modelregistry.git.repo import GitRepo, tags_in
from modelregistry.log.events import Event
from modelregistry.log.tags import (
    Quarantined,
    RawTag,
    TagName,
    is_signed,
    name_in,
    outline,
    parse,
    parse_name,
    render,
    tag_name,
    tag_prefix,
)

_LONGEST_PART = 250  # 255 bytes, less the ".lock" that git appends
_Tag = tuple[str, str, TagName]
"""A tag's name, the id of its object, and the name taken apart."""


class GitBackend(Backend):
    """Keeps the log in the tags of a Git repository, in GTO's grammar.

    Args:
        repo: The repository.
        remote: Says where the log is shared, once something is to be written; None for with nobody.
        staged: Keep new events here until ``sync`` publishes them.
        admit: Raises for an event that waited here and must not be published yet.
    """

    name = "git"
    capabilities = Capabilities(multi_writer=True, signed=True, remote=True)

    def __init__(
        self,
        repo: GitRepo,
        remote: Callable[[], GitRemote | None] = lambda: None,
        *,
        staged: bool = False,
        admit: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._repo = repo
        self._remote = remote
        self._staged = staged
        self._admit = admit
        self._directories: dict[str, list[str]] = {}
        self._listed: tuple[bytes, dict[str, str]] = b"", {}

    @property
    def identity(self) -> str:
        """Where the repository is."""
        return os.fspath(self._repo.common_dir)

    def _read(self, model: str, records: bool) -> Log:
        # Before the tags, so that a directory that comes in between is missed by the token, not by the reader.
        self._directories[model] = self._find_directories(model)
        prefix = tag_prefix(model)
        logs = self._logs(f"{prefix}@*", f"{prefix}#*", f"{prefix}#*/**", records=records)
        return logs[model].log() if model in logs else Log(model, head="")

    def _read_all(self, records: bool) -> Iterator[Log]:
        logs = self._logs("**", records=records)
        return (logs[model].log() for model in sorted(logs))

    def _outlines(self) -> Iterator[Outline]:
        with paused():
            tags = _by_model(self._repo.tag_list())
            objects = self._repo.tag_objects([oid for found in tags.values() for _, oid, _ in found])
            try:
                for model in list(tags):
                    events = _outlined(tags[model], objects)
                    yield Outline(model, _head_of(tags.pop(model)), events)
            except GitError:  # a broken object: what is left is read with more care
                yield from (found for found in super()._outlines() if found.model in tags)

    def _heads(self) -> dict[str, str]:
        listed = self._repo.tag_list()
        digest, heads = self._listed
        now = hashlib.sha256(listed).digest()
        if now != digest:
            with paused():
                heads = {model: _head_of(found) for model, found in _by_model(listed).items()}
            self._listed = now, heads
        return dict(heads)

    def _registry(self, *, shared: bool) -> str | None:
        found = self._registry_here()
        if found is None and shared and self._sharing is not None and not self._sharing.staged:
            self._sharing.fetch()  # so that two clones that begin with different models don't make two of it
            found = self._registry_here()
        return found

    def _registry_here(self) -> str | None:
        try:
            return _registry_in(self._repo.tags("**"))
        except GitError:
            return _registry_in(self._repo.tags_carefully("**"))

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        text = render(event) if record is None else record
        name = name_in(text)
        oid = self._repo.write_tag(text)
        try:
            if self._sharing is not None:
                created = self._sharing.append(name, oid, event_id=event.id)
            else:
                created = self._repo.create_ref(f"refs/tags/{name}", oid)
        except GitError:
            self._check(event)
            raise
        return event.model_copy(update={"source": name}) if created else None

    @cached_property
    def _sharing(self) -> Sharing | None:
        remote = self._remote()
        if remote is None:
            return None
        return Sharing(self._repo, remote, staged=self._staged, admit=self._admit)

    def _prepare(self, model: str) -> Sequence[str]:
        if self._sharing is None or self._sharing.staged:
            return ()
        try:
            return self._sharing.settle(tag_prefix(model)).revealed
        except RemoteError as error:
            raise RemoteError(
                f"nothing was written: {error}; Registry(…, push=False) keeps changes here until sync()",
                arguments=error.arguments, stderr=error.stderr, status=error.status,
            ) from error  # fmt: skip

    def _pending(self) -> Sequence[Event]:
        return self._sharing.pending() if self._sharing is not None else ()

    def _sync(self) -> Synced:
        return self._sharing.settle().synced if self._sharing is not None else Synced()

    def _check(self, event: Event) -> None:
        render(event)
        if self._repo.read([event.rev], limit=0)[0] is None:
            raise RefusedError(
                f"{self._repo!r} has not the commit {event.rev[:10]} that {event.source!r} is about: fetch it first"
            )
        name = tag_name(event)
        if max(len(part.encode()) for part in name.split("/")) > _LONGEST_PART:
            raise RefusedError(
                f"Git can't keep the tag {name[:60]!r}…, since no file system takes a name of {len(name)} characters: choose "
                "a shorter one, or delete the tag whose number stands before this one"
            )
        parents = [name[:end] for end, character in enumerate(name) if character == "/"]
        in_the_way = {
            ref.name for ref in self._repo.refs(*(f"refs/tags/{path}" for path in [*parents, name]))
        }
        for path in parents:
            if f"refs/tags/{path}" in in_the_way:
                raise RefusedError(
                    f"Git can't keep the tag {name!r} beside the tag {path!r}: choose another name"
                )
        if any(other.startswith(f"refs/tags/{name}/") for other in in_the_way):
            raise RefusedError(
                f"Git can't keep the tag {name!r} beside tags in a folder {name!r}: choose another name"
            )

    def _watch(self, model: str) -> Hashable | None:
        directories = self._directories.get(model)
        if directories is None:
            directories = self._directories[model] = self._find_directories(model)
        token, settled = self._repo.watch(directories)
        return token if settled else None

    def _find_directories(self, model: str) -> list[str]:
        parent, _, name = tag_prefix(model).rpartition("/")
        return self._repo.tag_directories(parent, f"{name}#")

    def _logs(self, *patterns: str, records: bool) -> dict[str, _Gathered]:
        """The logs of the models whose tags match, parsed while git goes on listing."""
        try:
            return _gather(self._repo.tags(*patterns), records=records)
        except GitError:
            return _gather(self._repo.tags_carefully(*patterns), records=records)


def _by_model(listed: bytes) -> dict[str, list[_Tag]]:
    """The tags of every model, by name."""
    found: dict[str, list[_Tag]] = {}
    for tag, oid in tags_in(listed):
        name = parse_name(tag)
        if name is not None:
            found.setdefault(name.prefix, []).append((tag, oid, name))
    return dict(sorted((tags[0][2].model, tags) for tags in found.values()))


def _registry_in(tags: Iterable[RawTag]) -> str | None:
    for tag in tags:
        parsed = parse(tag)
        if isinstance(parsed, Event) and parsed.registry is not None:
            return parsed.registry
    return None


def _head(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _head_of(tags: Iterable[_Tag]) -> str:
    return _head([f"{oid} {tag}" for tag, oid, _ in tags])


def _outlined(tags: Iterable[_Tag], objects: Iterator[tuple[str, bytes | None]]) -> tuple[Event, ...]:
    """What a fold needs of the tags."""
    events: list[Event] = []
    for (tag, oid, name), (kind, data) in zip(tags, objects, strict=False):
        found = outline(tag, name, data) if data is not None else None
        if found is None:
            event = parse(RawTag(tag, oid, kind, data))
            found = (event,) if isinstance(event, Event) else ()
        events += found
    return tuple(events)


class _Gathered:
    """One model's log while its tags come in."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.quarantined: list[Quarantined] = []
        self.numbers: dict[str, int] = {}
        self.records: dict[str, Record] = {}

    def log(self) -> Log:
        return Log(
            self.model, _head(self.lines), tuple(self.events), tuple(self.quarantined), self.numbers, self.records
        )  # fmt: skip


def _gather(tags: Iterable[RawTag], *, records: bool) -> dict[str, _Gathered]:
    """The tags' events by model, in the order in which git lists them: by name."""
    found: dict[str, _Gathered] = {}
    with paused():
        for tag in tags:
            _add(found, tag, records=records)
    return found


def _add(found: dict[str, _Gathered], tag: RawTag, *, records: bool) -> None:
    parsed = parse(tag)
    if parsed is None:
        return
    log = found.get(parsed.model)
    if log is None:
        log = found[parsed.model] = _Gathered(parsed.model)
    if isinstance(parsed, Quarantined):
        log.quarantined.append(parsed)
    else:
        log.events.append(parsed)
        if records and tag.data is not None and (not parsed.schema_version or is_signed(tag.data)):
            log.records[parsed.source] = Record(tag.oid, tag.data)
    log.lines.append(f"{tag.oid} {tag.name}")
    slot = parsed.slot
    if parsed.number >= log.numbers.get(slot, 0):
        log.numbers[slot] = parsed.number
