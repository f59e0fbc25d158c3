# ruff: noqa: D102 (a law's name is its promise)
"""The law that any story, told to a backend and to the log in memory, is kept alike by both."""

from __future__ import annotations

from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from modelregistry.backends.base import Backend
from modelregistry.log.events import Annotated, Assigned, Deprecated, Event, Registered, Unassigned, Withdrawn
from modelregistry.log.tags import numbered
from modelregistry.plugins import BACKENDS, load_class
from modelregistry.testing.events import make_event
from modelregistry.testing.laws import same_log
from modelregistry.testing.opened import Opened, Opener

_KINDS = (Annotated, Assigned, Deprecated, Registered, Unassigned, Withdrawn)
_tales = count()


class StoryLaw(Opened):
    """A state machine. Make ``stories`` and ``steps`` larger for a longer test."""

    stories = 20
    steps = 20

    def test_any_story_is_kept_as_memory_keeps_it(self, opener: Opener, rev: str) -> None:
        run_state_machine_as_test(
            lambda: _Story(opener, rev),  # type: ignore[arg-type]  # its documentation allows it
            settings=settings(
                max_examples=self.stories, stateful_step_count=self.steps, deadline=None, database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip


class _Story(RuleBasedStateMachine):
    """One story, about models that no other story has."""

    def __init__(self, opener: Opener, rev: str) -> None:
        super().__init__()
        self.opener, self.rev = opener, rev
        self.backend = opener()
        self.memory: Backend = load_class(BACKENDS["memory"])()
        self.tale = next(_tales)
        self.models = [f"tale{self.tale}", f"team/tale{self.tale}", f"team:tale{self.tale}"]
        self.told: list[Event] = []
        self.before: dict[str, tuple[str, str]] = {}

    @rule(
        model=st.integers(0, 2), kind=st.sampled_from(_KINDS), stage=st.sampled_from(["current", "shadow", "a/b"]),
        version=st.sampled_from(["v1.0.0", "v1.1.0-rc.1"]), second=st.integers(0, 1 << 20), skipped=st.integers(0, 2),
    )  # fmt: skip
    def write(
        self, model: int, kind: type[Event], stage: str, version: str, second: int, skipped: int
    ) -> None:
        """An event at the next number of its slot, or some numbers on."""
        facts: dict[str, str] = {} if kind is Deprecated else {"version": version}
        facts |= {"stage": stage} if kind in (Assigned, Unassigned) else {}
        identity = f"{self.tale}-{len(self.told)}"
        event = make_event(kind, self.models[model], self.rev, second=second, id=identity, **facts)
        event = numbered(event, self.memory.read(event.model).next_number(event.slot) + skipped)
        self.append(event)

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0, 1 << 20), same=st.booleans())
    def write_where_another_is(self, which: int, same: bool) -> None:
        """An event whose number is taken: by another, or by itself."""
        event = self.told[which % len(self.told)]
        if same:
            assert self.backend.append(event) in (None, event), "it is there already, and may be known again"
        else:
            self.append(event.model_copy(update={"id": f"rival of {event.id}"}))

    @rule()
    def open_anew(self) -> None:
        """As another process would."""
        self.backend = self.opener()

    def append(self, event: Event) -> None:
        kept, expected = self.backend.append(event), self.memory.append(event)
        assert kept == expected
        if kept is not None:
            self.told.append(kept)

    @invariant()
    def both_say_the_same(self) -> None:
        heads = self.backend.heads()
        for model in self.models:
            log, expected = self.backend.read(model), self.memory.read(model)
            assert same_log(log, expected, heads=False)
            assert log.events or model not in heads
            assert not log.events or heads[model] == log.head
            before = self.before.get(model)
            assert before is None or (before[0] == log.head) == (before[1] == expected.head)
            self.before[model] = log.head, expected.head
