"""The log in Git: one event, one annotated tag, one reference."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator

from modelregistry.backends.base import Backend, Log
from modelregistry.errors import GitError, RefusedError
from modelregistry.events import Event
from modelregistry.gitrepo import GitRepo
from modelregistry.tags import Quarantined, RawTag, parse, parse_name, render, tag_name, tag_prefix


class GitBackend(Backend):
    """Keeps the log in the tags of a Git repository, in GTO's grammar."""

    name = "git"

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self._directories: dict[str, list[str]] = {}

    def _read(self, model: str) -> Log:
        # Before the tags, so that a directory that comes in between is missed by the token, not by the reader.
        self._directories[model] = self._find_directories(model)
        prefix = tag_prefix(model)
        return _log(model, self._tags(f"{prefix}@*", f"{prefix}#*", f"{prefix}#*/**"))

    def _read_all(self) -> Iterator[Log]:
        by_model: dict[str, list[RawTag]] = {}
        for tag in self._tags("**"):
            name = parse_name(tag.name)
            if name is not None:
                by_model.setdefault(name.model, []).append(tag)
        return (_log(model, by_model[model]) for model in sorted(by_model))

    def _append(self, event: Event) -> Event | None:
        text = render(event)
        name = f"refs/tags/{tag_name(event)}"
        try:
            created = self._repo.create_ref(name, self._repo.write_tag(text))
        except GitError as error:
            if "cannot create" in error.stderr and "exists" in error.stderr:
                raise RefusedError(
                    f"Git can't keep the tag {tag_name(event)!r} beside another one that is a folder to it, or the "
                    f"other way round: choose another name ({error.stderr})"
                ) from error
            raise
        return event if created else None

    def _watch(self, model: str) -> Hashable | None:
        directories = self._directories.get(model)
        if directories is None:
            directories = self._directories[model] = self._find_directories(model)
        token, settled = self._repo.watch(directories)
        return token if settled else None

    def _find_directories(self, model: str) -> list[str]:
        parent, _, name = tag_prefix(model).rpartition("/")
        return self._repo.tag_directories(parent, f"{name}#")

    def _tags(self, *patterns: str) -> list[RawTag]:
        try:
            return list(self._repo.tags(*patterns))
        except GitError:
            return list(self._repo.tags_carefully(*patterns))


def _log(model: str, tags: Iterable[RawTag]) -> Log:
    """The log that the tags of one model make."""
    events: list[Event] = []
    quarantined: list[Quarantined] = []
    numbers: dict[str, int] = {}
    head = hashlib.sha256()
    for tag in tags:
        parsed = parse(tag)
        if parsed is None or parsed.model != model:
            continue
        head.update(f"{tag.oid} {tag.name}\n".encode("utf-8", "surrogateescape"))
        if isinstance(parsed, Quarantined):
            quarantined.append(parsed)
        else:
            events.append(parsed)
        number = numbers.get(parsed.slot, 0)
        numbers[parsed.slot] = max(parsed.number, number)
    return Log(model, head.hexdigest()[:32], tuple(events), tuple(quarantined), numbers)
