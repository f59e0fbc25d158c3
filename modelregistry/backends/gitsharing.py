"""How a clone and its remote come to hold the same events: one push an event, and what is left when one fails.

``refs/modelregistry/pending/<object id>/<tag>`` is an event that this clone has yet to publish: staged on purpose, or
pushed over a connection that broke. ``refs/modelregistry/refused/<object id>/<tag>`` is one that lost its place to
another: kept for its author to look at, and counted by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from modelregistry.backends.base import Synced
from modelregistry.callers import warn
from modelregistry.errors import (
    AccessDeniedError,
    GitError,
    OutcomeUnknownError,
    RefusedError,
    RegistryWarning,
)
from modelregistry.git.remote import GitRemote, Outcome
from modelregistry.git.repo import GitRepo
from modelregistry.log.events import Event
from modelregistry.log.tags import RawTag, parse, parse_name

TAGS = "refs/tags/"
_PENDING = "refs/modelregistry/pending/"
_REFUSED = "refs/modelregistry/refused/"


class Settled(NamedTuple):
    """What became of the events that waited here."""

    synced: Synced
    revealed: tuple[str, ...]
    """Those of ``published`` (echoes apart) that nobody here had seen, since the outcome of their push was unknown."""


class Sharing:
    """Publishes the events of one clone.

    Args:
        repo: The clone.
        remote: Where the log is shared.
        staged: Keep new events here until ``settle`` publishes them.
        admit: Raises for an event that must not be published yet; asked for what waited here.
    """

    def __init__(
        self,
        repo: GitRepo,
        remote: GitRemote,
        *,
        staged: bool = False,
        admit: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._repo = repo
        self._remote = remote
        self.staged = staged
        self._admit = admit

    def fetch(self) -> None:
        """Fetch all tags, and nothing more.

        Raises:
            RemoteError: The remote can't be reached.
        """
        self._remote.fetch([f"{TAGS}*"])

    def pending(self) -> list[Event]:
        """The events that wait to be published, oldest first."""
        return [event for event, _ in self._pending("")]

    def settle(self, prefix: str = "") -> Settled:
        """Fetch the tags with that prefix, publish what is pending, set aside what lost its place.

        Raises:
            RemoteError: The remote can't be reached.
            OutcomeUnknownError: The connection broke again.
            AccessDeniedError: This user may not push there; what waits goes on waiting.
            RegistryError: What ``admit`` raises; what came before that is published.
        """
        patterns = [f"{TAGS}{prefix}@*", f"{TAGS}{prefix}#*"] if prefix else [f"{TAGS}*"]
        waiting = self._pending(prefix)
        here = self._repo.refs(*(f"{TAGS}{event.source}" for event, _ in waiting)) if waiting else ()
        known = {ref.name.removeprefix(TAGS) for ref in here}
        agrees = self._remote.fetch(patterns)
        lost = {} if agrees else self._others(patterns)
        published: list[str] = []
        refused: list[tuple[str, str]] = []
        # What came after an event that lost its place was decided on it, and goes with it.
        broken = {event.model: event.order for event, _ in reversed(self._events(lost.items()))}
        reasons: list[str] = []
        for event, oid in waiting:
            first = broken.get(event.model)
            try:
                if first is None or event.order < first:
                    self._admit(event)
                    if self._publish(event.source, oid, event.id):
                        self._repo.change_refs(create={}, delete={f"{_PENDING}{oid}/{event.source}": oid})
                        published.append(event.source)
                        continue
            except AccessDeniedError:
                raise  # not the event's fault: it goes on waiting
            except RefusedError as error:
                reasons.append(str(error))
            broken.setdefault(event.model, event.order)
            refused.append((event.source, oid))
        refused += [pair for pair in lost.items() if pair not in refused]
        if refused:
            self._give_up(refused, "; ".join(reasons))
            self._remote.fetch(patterns)
        return Settled(
            Synced(tuple(published), tuple(dict.fromkeys(tag for tag, _ in refused))),
            tuple(
                event.source
                for event, _ in waiting
                if event.source in published and event.source not in known and event.echo_of is None
            ),
        )

    def append(self, tag: str, oid: str, *, event_id: str) -> bool:
        """Give the event its place in the shared log; False when another has it.

        Raises:
            OutcomeUnknownError: The connection broke, and the remote can't be asked.
            RefusedError: The remote's own rules forbid it.
        """
        if self.staged:
            pending = {f"{_PENDING}{oid}/{tag}": oid}
            self._repo.change_refs(create=pending, delete={})
            name = f"{TAGS}{tag}"
            if self._repo.create_ref(name, oid) or dict(self._repo.refs(name)).get(name) == oid:
                return True  # by another process of this clone, that published what was pending
            self._repo.change_refs(create={}, delete=pending)
            return False
        return self._publish(tag, oid, event_id)

    def _publish(self, tag: str, oid: str, event_id: str) -> bool:
        outcome = self._remote.create(f"{TAGS}{tag}", oid)
        if outcome is Outcome.UNKNOWN:
            self._repo.change_refs(create={f"{_PENDING}{oid}/{tag}": oid}, delete={})
            raise OutcomeUnknownError(
                f"the connection to {self._remote} broke while {tag!r} was pushed, so nobody can tell whether it "
                "is there: call sync(), or write to the model again, to settle it",
                event_id=event_id, tag=tag,
            )  # fmt: skip
        if outcome is Outcome.CREATED:
            self._keep(tag, oid)
        return outcome is Outcome.CREATED

    def _keep(self, tag: str, oid: str) -> None:
        """The shared event, here too; one that another process of this clone staged in its place gives way."""
        name = f"{TAGS}{tag}"
        if self._repo.create_ref(name, oid):
            return
        here = dict(self._repo.refs(name)).get(name, oid)
        if here != oid:
            lost = self._events([(tag, here)])
            later = [
                (event.source, other)
                for event, other in self._pending("")
                if any(event.model == each.model and event.order > each.order for each, _ in lost)
            ]
            self._give_up([(tag, here), *later], "")
            self._repo.create_ref(name, oid)

    def _give_up(self, refused: Sequence[tuple[str, str]], why: str) -> None:
        for tag, oid in refused:
            self._aside(tag, oid)
        names = ", ".join(tag for tag, _ in refused)
        warn(
            f"set aside below {_REFUSED}: {names}; "
            f"{why or f'{self._remote} has other events in their place, which count'}",
            RegistryWarning,
        )

    def _pending(self, prefix: str) -> list[tuple[Event, str]]:
        """The events that wait to be published, oldest first, so that nobody sees one before those it came after."""
        waiting = [
            (ref.name.removeprefix(_PENDING).partition("/")[2], ref.oid) for ref in self._repo.refs(_PENDING)
        ]
        wanted = [
            (tag, oid) for tag, oid in waiting if not prefix or tag.startswith((f"{prefix}@", f"{prefix}#"))
        ]
        return self._events(wanted)

    def _events(self, named: Iterable[tuple[str, str]]) -> list[tuple[Event, str]]:
        """The events that tags of those names and objects are, with their objects, oldest first."""
        wanted = list(named)
        objects = self._repo.read([oid for _, oid in wanted]) if wanted else []
        found = []
        for (tag, oid), kept in zip(wanted, objects, strict=True):
            event = parse(RawTag(tag, oid, "tag", kept.data)) if kept is not None else None
            if isinstance(event, Event):
                found.append((event, oid))
        return sorted(found, key=lambda pair: pair[0].order)

    def _others(self, patterns: Sequence[str]) -> dict[str, str]:
        """The events here whose name is another event's on the remote: what GTO leaves when its push is refused."""
        theirs = self._remote.refs(patterns)
        globs = [
            glob for pattern in patterns for glob in (pattern, f"{pattern}/**")
        ]  # stages may have folders
        return {
            ref.name.removeprefix(TAGS): ref.oid
            for ref in self._repo.refs(*globs)
            if theirs.get(ref.name, ref.oid) != ref.oid and parse_name(ref.name.removeprefix(TAGS))
        }

    def _aside(self, tag: str, oid: str) -> None:
        try:
            self._repo.change_refs(
                create={f"{_REFUSED}{oid}/{tag}": oid},
                delete={f"{TAGS}{tag}": oid, f"{_PENDING}{oid}/{tag}": oid},
            )
        except GitError:
            # Another process may have done so, and have fetched what counts.
            if dict(self._repo.refs(f"{TAGS}{tag}")).get(f"{TAGS}{tag}") == oid:
                raise
