"""Every backend that ships keeps the laws, and all of them tell one story."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Hashable
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modelregistry.backends.base import Backend, Log
from modelregistry.backends.git import GitBackend
from modelregistry.backends.memory import MemoryBackend
from modelregistry.errors import RegistryError
from modelregistry.git.remote import GitRemote
from modelregistry.git.repo import GitRepo
from modelregistry.log.changes import Writer
from modelregistry.log.events import KINDS, Assigned, Deregistered, Event, Registered
from modelregistry.log.history import History, Stages
from modelregistry.log.summaries import summarize
from modelregistry.plugins import migrate, open_backend
from modelregistry.testing import BackendSuite, make_event, make_events
from modelregistry.testing.opened import Opener
from tests.gitfolders import make_repository, run_git
from tests.strategies import SHARED, START, Wish, register, said, wishes

if TYPE_CHECKING:
    from tests.postgres import Postgres


class TestMemoryBackend(BackendSuite):
    @pytest.fixture
    def opener(self) -> Opener:
        backend = MemoryBackend()
        return lambda: backend


class TestGitBackend(BackendSuite):
    models, longest, stories, rounds = 15, 50, 10, 12

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        make_repository(tmp_path / "log")
        return tmp_path / "log"

    @pytest.fixture
    def opener(self, repository: Path) -> Opener:
        return partial(open_git, repository)

    @pytest.fixture
    def rev(self, repository: Path) -> str:
        return GitRepo.discover(repository).resolve("HEAD")


class TestPackedGitBackend(TestGitBackend):
    """The same while every tag is packed between two steps, as ``git gc`` does."""

    @pytest.fixture
    def opener(self, repository: Path) -> Opener:
        return partial(open_packing, repository)


class TestSharedGitBackend(TestGitBackend):
    """The same through a remote: whoever opens it has a clone of their own."""

    models, longest, rounds, stories, steps, kills = 8, 20, 8, 4, 10, 2

    @pytest.fixture
    def opener(self, repository: Path, tmp_path: Path) -> Opener:
        return partial(open_clone, repository, tmp_path)


class TestSqliteBackend(BackendSuite):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        address = f"sqlite:///{tmp_path / 'log.db'}"
        migrate(address)
        return partial(open_backend, address)


class TestPostgresqlBackend(BackendSuite):
    @pytest.fixture
    def opener(self, postgres: Postgres) -> Opener:
        address = postgres.create()
        migrate(address)
        return partial(open_backend, address)


def open_git(folder: Path) -> Backend:
    return GitBackend(GitRepo.discover(folder))


def open_packing(folder: Path) -> Backend:
    return _Packing(GitRepo.discover(folder))


def open_clone(hub: Path, place: Path) -> Backend:
    """The log of a new clone."""
    clone = tempfile.mkdtemp(prefix="clone-", dir=place)
    run_git(hub, "clone", "--quiet", hub.as_uri(), clone)
    return _Fetching.of(GitRepo.discover(clone))


class _Packing(GitBackend):
    def _append(self, event: Event, record: bytes | None) -> Event | None:
        kept = super()._append(event, record)
        self._repo.run("pack-refs", "--all", "--prune")
        return kept


class _Fetching(GitBackend):
    """A clone whose reader fetches first, as ``sync`` does."""

    @classmethod
    def of(cls, repo: GitRepo) -> Backend:
        return cls(repo, lambda: GitRemote.named(repo, "origin"))

    def _read(self, model: str, records: bool) -> Log:
        self.prepare(model)
        return super()._read(model, records)

    def _heads(self) -> dict[str, str]:
        self.sync()
        return super()._heads()

    def _watch(self, model: str) -> Hashable | None:
        self.prepare(model)
        return super()._watch(model)


def test_the_suite_has_an_event_of_every_kind_that_we_write() -> None:
    written = {type(event) for event in make_events("churn", "0" * 40)}
    assert written == set(KINDS.values()) - {Deregistered}


@pytest.mark.parametrize("kind", ["memory", "git", "sqlite"])
def test_append_names_the_record_that_it_wrote(kind: str, tmp_path: Path) -> None:
    """As when a writer was beaten to a number and takes the next one."""
    commit = make_repository(tmp_path)
    migrate(f"sqlite:///{tmp_path / 'log.db'}")
    backend = {
        "memory": MemoryBackend,
        "git": lambda: GitBackend(GitRepo.discover(tmp_path)),
        "sqlite": lambda: open_backend(f"sqlite:///{tmp_path / 'log.db'}"),
    }[kind]()
    event = make_event(Assigned, "churn", commit, stage="current", version="v1.0.0", number=1)
    kept = backend.append(event.model_copy(update={"number": 2}))
    assert (kept,) == backend.read("churn").events


class Twins(RuleBasedStateMachine):
    """One story, written to memory, to Git and to a database."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="twins-"))
        self.rev = make_repository(self.folder)
        database = f"sqlite:///{self.folder / 'log.db'}"
        migrate(database)
        self.twins: tuple[Backend, ...] = (
            MemoryBackend(), GitBackend(GitRepo.discover(self.folder)), open_backend(database)
        )  # fmt: skip
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
            assert [backend.append(event) for backend in self.twins] == [event] * 3

    @rule(wish=wishes)
    def want_too_late(self, wish: Wish) -> None:
        """Another writer takes the first number in between."""
        for event in self.decide("churn", wish)[:1]:
            winner = event.model_copy(update={"id": "winner", "message": "first"})
            assert [backend.append(winner) for backend in self.twins] == [winner] * 3
            assert [backend.append(event) for backend in self.twins] == [None] * 3

    def decide(self, model: str, wish: Wish) -> tuple[Event, ...]:
        """What both logs say is to be appended: the same, or nothing where the wish is refused."""
        self.step += 1
        memory, *others = (self.decide_on(backend.read(model), wish) for backend in self.twins)
        assert others == [memory] * 2
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
        memory, *others = ({log.model: log for log in backend.read_all()} for backend in self.twins)
        for other in others:
            assert memory.keys() == other.keys()
            for model, log in memory.items():
                twin = other[model]
                events = sorted(log.events, key=lambda event: event.order)
                found = sorted(twin.events, key=lambda event: event.order)
                assert events == found
                assert [event.fingerprint() for event in events] == [event.fingerprint() for event in found]
                assert dict(log.numbers) == dict(twin.numbers)
                assert not twin.quarantined
                assert said(History(model, log.events, self.stages)) == said(
                    History(model, twin.events, self.stages)
                )


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=12, stateful_step_count=12)
