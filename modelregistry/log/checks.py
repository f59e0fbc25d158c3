"""What is odd in a log: tags that can't be read, tags that contradict each other, and what GTO would answer otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelregistry.display.shown import Shown
from modelregistry.log.events import Assigned, Deregistered, Event, Registered, Unassigned, Withdrawn
from modelregistry.log.history import History, dated_back, forgotten_by_gto, missing_echoes, revived_for_gto
from modelregistry.log.tags import Quarantined


@dataclass(frozen=True, slots=True, repr=False)
class Problem(Shown):
    """One thing that is odd, and what to do about it."""

    model: str
    """The model; empty for the repository as a whole."""
    where: str
    """The tag, or the part of the repository."""
    what: str
    """What is odd about it, and how it is read."""
    mend: str
    """What to do, if anything."""


def problems_in(
    history: History, quarantined: Iterable[Quarantined], aside: Sequence[Event] = ()
) -> Iterator[Problem]:
    """Everything odd in the log of one model.

    Args:
        history: The events that count.
        quarantined: The tags that count for nothing.
        aside: The events among them: they are there, and do not count by the reader's policy.
    """
    by_policy = {event.source: event for event in aside}
    for tag in quarantined:
        event = by_policy.get(tag.name)
        what = "not read as an event:" if event is None else "does not count"
        mend = "delete the tag, or leave it"
        if event is not None and event.echo_of is None:
            mend = "have it done again, signed by a key that your policy lets do it; or renew the policy; or leave it"
        yield Problem(history.model, tag.name, f"{what} {tag.reason}", mend)
    yield from _chain(history, aside)
    yield from _versions(history)
    yield from _stages(history)
    yield from _gto(history)


def _chain(history: History, aside: Iterable[Event]) -> Iterator[Problem]:
    """Events of ours name the event before them by its fingerprint: one that is named and not there was deleted."""
    known = {event.fingerprint() for event in (*history.events, *aside)}
    for event in history.events:
        if event.prev is not None and event.prev not in known:
            yield Problem(
                history.model, event.source,
                "the event that its writer saw before it is gone, or was changed: the log was edited",
                "fetch the tags from a clone that still has them",
            )  # fmt: skip


def _versions(history: History) -> Iterator[Problem]:
    at_rev: dict[str, str] = {}
    for event in history.events:
        match event:
            case Registered():
                kept = history.versions[event.version].registered
                if event.rev != kept.rev and (event.order > kept.order or dated_back(event, kept)):
                    yield Problem(
                        history.model, event.source,
                        f"{event.version} is registered at {event.rev[:10]} and at {kept.rev[:10]}, which counts",
                        f"register the bytes of {event.rev[:10]} as a version of their own",
                    )  # fmt: skip
                gone = history.versions[event.version].withdrawn
                if gone is not None and event.order > gone.order:
                    yield Problem(
                        history.model, event.source,
                        f"GTO registered {event.version} again after it was withdrawn: it serves it, this registry does not",
                        f"gto deprecate {history.model} {event.version}",
                    )  # fmt: skip
                other = at_rev.setdefault(event.rev, event.version)
                if other != event.version:
                    yield Problem(
                        history.model, event.source,
                        f"{other} and {event.version} are registered at one commit, {event.rev[:10]}: every GTO command "
                        "fails on the repository once a stage tag is there",
                        "register further versions here: each gets a commit of its own",
                    )  # fmt: skip
            case Withdrawn() | Deregistered() if event.version not in history.versions:
                yield Problem(
                    history.model, event.source, f"there is no {event.version} to take away", "nothing"
                )


def _stages(history: History) -> Iterator[Problem]:
    for event in history.events:
        if isinstance(event, (Assigned, Unassigned)) and history.version_of(event) is None:
            yield Problem(
                history.model, event.source,
                f"a stage tag on {event.rev[:10]}, where {event.version or 'no version'} is "
                f"{'not ' if event.version else ''}registered: it counts for nothing",
                "register that commit as a version",
            )  # fmt: skip
    for stage in history.stages_used:
        if history.stages.written_down and stage not in history.stages.order:
            yield Problem(
                history.model, f"stage {stage!r}", "used by the model and not a stage of the registry",
                "add it to [stages] in .modelregistry.toml",
            )  # fmt: skip


def _gto(history: History) -> Iterator[Problem]:
    for stage, version, event in missing_echoes(history):
        yield Problem(
            history.model, event.source, f"GTO still counts {version} as a holder of {stage!r}; it left",
            "check(repair=True)",
        )  # fmt: skip
    for stage, version, event in forgotten_by_gto(history):
        yield Problem(
            history.model, event.source, f"GTO counts {version} as a holder of {stage!r} no more; it is one: what this tag "
            "repeats was never written", "check(repair=True)",
        )  # fmt: skip
    revived = revived_for_gto(history)
    if revived is not None:
        yield Problem(
            history.model, revived.source, "GTO counts the model as deprecated no more, since this tag came after; it is",
            "check(repair=True)",
        )  # fmt: skip
