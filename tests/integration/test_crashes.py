"""Processes that are killed while they write, and processes that write at once: nothing torn, nothing lost.

``MODELREGISTRY_KILLS=1000`` kills so many writers (``nox -s fuzz``).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.crew import Crew, crew, kill
from tests.integration.projects import commit, git, init, visible, write

KILLS = int(os.environ.get("MODELREGISTRY_KILLS", "40"))
WRITERS, TURNS = 8, 10
REGISTERED = 18
COMMITS = 100 + 2 * KILLS  # a third of the killed have five to register
FIGURES = ("acknowledged", "cut short, applied", "cut short, not there", "torn")
Step = tuple[str, Mapping[str, object], str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of commits with other bytes of ``churn`` each; 18 are registered, v0.1.17 is current."""
    top = init(tmp_path / "raced")
    write(
        top / "dvc.yaml",
        "artifacts:\n  churn: {path: churn.json, type: model}\n  other: {path: churn.json}\n",
    )
    write(top / "churn.json", "first")
    commit(top)
    stream = []
    for number in range(COMMITS - 1):
        data = f"bytes {number}"
        words = f"commit refs/heads/main\ncommitter Ann <a@e> {1_700_000_000 + number} +0000\ndata 1\nx"
        start = "from refs/heads/main^0\n" if number == 0 else ""
        stream.append(f"{words}\n{start}M 100644 inline churn.json\ndata {len(data)}\n{data}\n")
    git(top, "fast-import", "--quiet", stdin="\n".join(stream).encode())
    git(top, "reset", "--quiet", "--hard", "main")
    registry = Registry(top)
    for number in range(REGISTERED):
        registry.register("churn", rev=f"main~{number}")
    registry.promote("churn", "v0.1.17", "current")
    return top


def promotions(who: int, count: int) -> list[Step]:
    """A process has two versions of its own, so that it never promotes the holder, which would write nothing."""
    return [
        ("promote", {"args": ["churn", f"v0.1.{2 * who + turn % 2}", "current"]}, f"promote {who}.{turn}")
        for turn in range(count)
    ]


def registrations(who: int, count: int, revs: Iterator[int]) -> list[Step]:
    return [
        ("register", {"args": ["churn"], "rev": f"main~{next(revs)}"}, f"register {who}.{turn}")
        for turn in range(count)
    ]


def check_the_log(root: Path, reports: Sequence[Sequence[Mapping[str, Any]]]) -> Counter[str]:
    """What was acknowledged is in the log once, what was refused is not, what is unknown is there or not."""
    lines = [line for report in reports for line in report]
    assert not [line["error"] for line in lines if "error" in line]
    found = Counter(event.message for event in Registry(root).events())
    for line in lines:
        if "done" in line:
            assert found[line["done"]] == 1, line
        elif "refused" in line:
            assert found[line["refused"]] == 0, line
    tried = {line["tried"] for line in lines if "tried" in line}
    assert all(found[message] <= 1 for message in tried)
    return Counter(key for line in lines for key in line)


def check_the_order(root: Path) -> None:
    events = Registry(root).history("churn")
    numbers = [event.number for event in events if event.kind == "assign"]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert git(root, "fsck", "--full", "--strict") is not None


# -- at once -----------------------------------------------------------------------------------------------


def test_racing_promotions_lose_nothing_and_every_read_has_one_holder(
    root: Path, workers: Crew, tmp_path: Path
) -> None:
    jobs = [
        {"job": "write", "seed": who, "root": os.fspath(root), "steps": promotions(who, TURNS)}
        for who in range(WRITERS)
    ]
    stop = tmp_path / "stop"
    with crew(tmp_path / "readers") as readers:
        readers.start({"job": "read", "root": os.fspath(root), "until": os.fspath(stop)})
        try:
            workers.start(*jobs)
            assert workers.wait() == [0] * WRITERS, workers.reports()
            git(root, "pack-refs", "--all")
        finally:
            stop.touch()
            readers.wait()
        counts = check_the_log(root, workers.reports())
        assert counts["done"] + counts["refused"] == WRITERS * TURNS
        assert counts["done"] >= WRITERS * TURNS * 0.9, workers.reports()
        (report,) = readers.reports()
        assert [line for line in report if "read" not in line] == []
        assert len(report) > 20
    check_the_order(root)
    assert not Registry(root).check()


def test_racing_registrations_give_every_commit_a_version_of_its_own(root: Path, workers: Crew) -> None:
    revs = iter(range(REGISTERED, COMMITS - 1))
    jobs = [
        {"job": "write", "seed": who, "root": os.fspath(root), "steps": registrations(who, TURNS, revs)}
        for who in range(WRITERS)
    ]
    workers.start(*jobs)
    assert workers.wait() == [0] * WRITERS, workers.reports()
    counts = check_the_log(root, workers.reports())
    assert counts["done"] + counts["refused"] == WRITERS * TURNS
    assert counts["done"] >= WRITERS * TURNS * 0.9, workers.reports()

    registered = [event for event in Registry(root).history("churn") if event.kind == "register"]
    assert len({event.version for event in registered}) == len(registered) == REGISTERED + counts["done"]
    assert len({event.rev for event in registered}) == len(registered)
    assert not Registry(root).check()


def test_racing_writes_that_name_the_holder_they_believe_in_have_one_winner(
    root: Path, workers: Crew
) -> None:
    jobs = [
        {
            "job": "write", "seed": who, "root": os.fspath(root),
            "steps": [("promote", {"args": ["churn", f"v0.1.{who}", "current"], "expected": "v0.1.17"}, f"swap {who}")],
        }
        for who in range(WRITERS)
    ]  # fmt: skip
    workers.start(*jobs)
    assert workers.wait() == [0] * WRITERS, workers.reports()
    assert check_the_log(root, workers.reports())["done"] == 1


# -- killed ------------------------------------------------------------------------------------------------


def stale_locks(root: Path) -> list[Path]:
    return sorted((root / ".git").rglob("*.lock"))


def figures(root: Path, reports: Sequence[Sequence[Mapping[str, Any]]]) -> Counter[str]:
    """What became of the calls, and of those that were cut short by a kill."""
    registry = Registry(root)
    there = {event.message for event in registry.events()}
    seen: Counter[str] = Counter()
    for report in reports:
        ended = {line.get("done", line.get("refused")) for line in report}
        cut = [line["tried"] for line in report if "tried" in line and line["tried"] not in ended]
        seen["acknowledged"] += sum("done" in line for line in report)
        seen["cut short, applied"] += sum(message in there for message in cut)
        seen["cut short, not there"] += sum(message not in there for message in cut)
    events = {event.source for event in registry.history("churn", echoes=True)}
    seen["torn"] = len(set(git(root, "tag").split()) ^ events)
    return seen


@pytest.mark.timeout(600 if KILLS <= 40 else 0)
def test_a_killed_writer_leaves_a_log_without_tears_and_the_next_write_works(
    root: Path, workers: Crew
) -> None:
    seed = random.randrange(1 << 32)
    print("\nseed", seed)  # shown when the test fails
    choose = random.Random(seed)
    revs = iter(range(REGISTERED, COMMITS - 1))
    reports: list[Sequence[Mapping[str, Any]]] = []
    locked = 0
    pace = 0.1  # how long a write takes here and now
    for turn in range(KILLS):
        steps = promotions(turn % 8, 40) if turn % 3 else registrations(turn, 5, revs)
        steps = [(verb, wish, f"turn {turn}: {message}") for verb, wish, message in steps]
        (process,) = workers.start({"job": "write", "seed": turn, "root": os.fspath(root), "steps": steps})
        time.sleep(choose.uniform(0.2, 5) * pace)  # the moment of death, not a wait for anything
        kill(process)
        workers.wait()
        reports += workers.reports()

        began = time.monotonic()
        registry = Registry(root)
        version = "v0.1.16" if registry.get("churn#current").version == "v0.1.17" else "v0.1.17"
        locks = stale_locks(root)
        try:
            registry.promote("churn", version, "current", message=f"retry {turn}")
        except mr.GitError as error:
            named = [lock.name for lock in locks if lock.name in str(error)]
            if not named:
                raise
            locked += 1
        for lock in locks:
            lock.unlink()  # as the error says
        if registry.get("churn#current").version != version:
            registry.promote("churn", version, "current", message=f"retry {turn}")
        pace = time.monotonic() - began
        assert Registry(root).get("churn#current").version == version
        if turn % 50 == 49:
            git(root, "pack-refs", "--all")  # as the git of a user does now and then
    seen = figures(root, reports)
    told = ", ".join(f"{seen[what]} {what}" for what in FIGURES)
    print(f"{KILLS} kills: {told}; {locked} times the next write met a lock of the dead")

    counts = check_the_log(root, [[line for line in report if "error" not in line] for report in reports])
    assert counts["done"] > KILLS / 2, counts  # they did write
    assert seen["torn"] == 0
    check_the_order(root)
    # A promotion and the words that repeat it for GTO are two tags: between them a kill leaves what check() mends.
    assert {problem.mend for problem in Registry(root).check()} <= {"check(repair=True)"}
    assert not Registry(root).check(repair=True)


def test_a_lock_that_a_dead_git_left_is_named_with_what_to_do(root: Path) -> None:
    registry = Registry(root)
    lock = write(root / ".git" / "refs" / "tags" / "churn#current#2.lock", "")
    before = visible(root)
    with pytest.raises(mr.GitError, match=r"churn#current#2\.lock") as caught:
        registry.promote("churn", "v0.1.1", "current")
    assert "remove" in str(caught.value) or "delete" in str(caught.value)
    assert visible(root) == before
    lock.unlink()
    assert registry.promote("churn", "v0.1.1", "current").stages == ("current",)


def test_a_lock_on_the_packed_references_stops_no_write(root: Path) -> None:
    write(root / ".git" / "packed-refs.lock", "")
    assert Registry(root).promote("churn", "v0.1.1", "current").stages == ("current",)


def test_a_repository_that_can_t_be_written_says_why(root: Path) -> None:
    if os.geteuid() == 0:
        target = root / ".git" / "refs" / "tags"
        target.rename(root / ".git" / "refs" / "aside")
        write(target, "a file where the folder was")
    else:
        (root / ".git" / "refs" / "tags").chmod(0o500)
    git(root, "config", "core.filesRefLockTimeout", "1")
    with pytest.raises(mr.GitError, match="refs/tags"):
        Registry(root).register("other")


def test_a_killed_declaration_is_whole_or_not_there_and_a_retry_works(root: Path, workers: Crew) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    choose = random.Random(seed)
    for turn in range(15):
        name = f"model{turn}"
        steps: list[Step] = [
            ("register", {"args": [name], "path": "churn.json", "declare": True}, f"declare {turn}")
        ]
        (process,) = workers.start({"job": "write", "root": os.fspath(root), "steps": steps})
        time.sleep(choose.uniform(0.03, 0.25))
        kill(process)
        workers.wait()

        for lock in stale_locks(root):
            lock.unlink()
        # The commit is the last step: before it, the file may have the whole entry already, as if it was edited.
        committed = git(root, "show", "HEAD:dvc.yaml") + "\n"
        lying = (root / "dvc.yaml").read_text()
        assert lying in (committed, committed + f"  {name}:\n    path: churn.json\n    type: model\n")
        try:
            Registry(root).get(name)
        except mr.ModelNotFoundError:
            Registry(root).register(name, path="churn.json", declare=True)
        assert git(root, "status", "--porcelain") == ""
        assert Registry(root).get(name).path == "churn.json"
