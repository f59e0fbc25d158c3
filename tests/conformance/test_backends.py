"""Every backend that ships keeps the laws, and all of them tell one story."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modelregistry.backends.base import Backend, Log
from modelregistry.backends.git import GitBackend
from modelregistry.backends.memory import MemoryBackend
from modelregistry.changes import Writer
from modelregistry.errors import RegistryError
from modelregistry.events import KINDS, Assigned, Deregistered, Event, Registered
from modelregistry.gitrepo import GitRepo
from modelregistry.history import History, Stages
from modelregistry.summaries import summarize
from modelregistry.testing import BackendSuite, make_event, make_events
from tests.gitfolders import make_repository
from tests.strategies import SHARED, START, Wish, register, said, wishes


class TestMemoryBackend(BackendSuite):
    @pytest.fixture
    def backend(self) -> Backend:
        return MemoryBackend()


class TestGitBackend(BackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        self.folder, self.commit = tmp_path, make_repository(tmp_path)
        return GitBackend(GitRepo.discover(tmp_path))

    @pytest.fixture
    def rev(self, backend: Backend) -> str:
        return self.commit

    def reopen(self, backend: Backend) -> Backend:
        return GitBackend(GitRepo.discover(self.folder))


class TestPackedGitBackend(TestGitBackend):
    """The same while every tag is packed between two steps, as ``git gc`` does."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        self.folder, self.commit = tmp_path, make_repository(tmp_path)
        return _Packing(GitRepo.discover(tmp_path))


class _Packing(GitBackend):
    def _append(self, event: Event) -> Event | None:
        kept = super()._append(event)
        self._repo.run("pack-refs", "--all", "--prune")
        return kept


def test_the_suite_has_an_event_of_every_kind_that_we_write() -> None:
    written = {type(event) for event in make_events("churn", "0" * 40)}
    assert written == set(KINDS.values()) - {Deregistered}


@pytest.mark.parametrize("suite", [TestMemoryBackend, TestGitBackend])
def test_append_names_the_record_that_it_wrote(suite: type[BackendSuite], tmp_path: Path) -> None:
    """As when a writer was beaten to a number and takes the next one."""
    commit = make_repository(tmp_path)
    backend: Backend = (
        MemoryBackend() if suite is TestMemoryBackend else GitBackend(GitRepo.discover(tmp_path))
    )
    event = make_event(Assigned, "churn", commit, stage="current", version="v1.0.0", number=1)
    kept = backend.append(event.model_copy(update={"number": 2}))
    assert (kept,) == backend.read("churn").events


class Twins(RuleBasedStateMachine):
    """One story, written to memory and to Git."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="twins-"))
        self.rev = make_repository(self.folder)
        self.twins: tuple[Backend, ...] = (MemoryBackend(), GitBackend(GitRepo.discover(self.folder)))
        self.stages = Stages()
        self.seconds = 0
        self.step = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(stages=st.sampled_from([Stages(), SHARED]), versions=st.integers(0, 4))
    def begin(self, stages: Stages, versions: int) -> None:
        self.stages = stages
        for content in range(versions):
            self.want("churn", register(100 + content), 1)

    @rule(model=st.sampled_from(["churn", "churn", "team/churn"]), wish=wishes, seconds=st.integers(-2, 9))
    def want(self, model: str, wish: Wish, seconds: int) -> None:
        self.seconds += seconds
        for event in self.decide(model, wish):
            assert [backend.append(event) for backend in self.twins] == [event, event]

    @rule(wish=wishes)
    def want_too_late(self, wish: Wish) -> None:
        """Another writer takes the first number in between."""
        for event in self.decide("churn", wish)[:1]:
            winner = event.model_copy(update={"id": "winner", "message": "first"})
            assert [backend.append(winner) for backend in self.twins] == [winner, winner]
            assert [backend.append(event) for backend in self.twins] == [None, None]

    def decide(self, model: str, wish: Wish) -> tuple[Event, ...]:
        """What both logs say is to be appended: the same, or nothing where the wish is refused."""
        self.step += 1
        memory, git = (self.decide_on(backend.read(model), wish) for backend in self.twins)
        assert memory == git
        return memory

    def decide_on(self, log: Log, wish: Wish) -> tuple[Event, ...]:
        ids = (f"step-{self.step}-{position}" for position in count())
        writer = Writer(
            author="Ann Author", email="ann@example.com", now=START + timedelta(seconds=self.seconds),
            registry="0" * 32, next_number=log.next_number, message="wörds", new_id=lambda: next(ids),
        )  # fmt: skip
        try:
            events = wish(History(log.model, log.events, self.stages), writer).events
        except RegistryError:
            return ()
        return tuple(
            event.model_copy(update={"rev": self.rev}) if isinstance(event, Registered) else event
            for event in events
        )

    @invariant()
    def tell_it_in_outline(self) -> None:
        for backend in self.twins:
            told = {
                found.model: summarize(History(found.model, found.events, self.stages))
                for found in backend.outlines()
            }
            assert told == {
                log.model: summarize(History(log.model, log.events, self.stages))
                for log in backend.read_all()
            }

    @invariant()
    def tell_one_story(self) -> None:
        memory, git = ({log.model: log for log in backend.read_all()} for backend in self.twins)
        assert memory.keys() == git.keys()
        for model, log in memory.items():
            twin = git[model]
            events = sorted(log.events, key=lambda event: event.order)
            assert events == sorted(twin.events, key=lambda event: event.order)
            assert [event.fingerprint() for event in events] == [
                event.fingerprint() for event in sorted(twin.events, key=lambda event: event.order)
            ]
            assert dict(log.numbers) == dict(twin.numbers)
            assert not twin.quarantined
            assert said(History(model, log.events, self.stages)) == said(
                History(model, twin.events, self.stages)
            )


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=12, stateful_step_count=12)
