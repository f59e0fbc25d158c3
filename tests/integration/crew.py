"""Processes that write to and read from a registry on command: forked from one that has imported everything already.

Run as a script, it takes lines of JSON (one list of jobs each), forks a process for each job, says their ids, waits for
all of them and says how they ended. Each process leads a session of its own, so that it can be killed with every git it
started, and writes what it knows to a file of its own, a line at a time.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

TOP = Path(__file__).parents[2]


class Crew:
    """The other side of this script."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._reports: list[Path] = []
        self._count = 0

    def start(self, *jobs: dict[str, Any]) -> list[int]:
        """Start a process for each job; returns their ids once all of them run."""
        assert self._process.stdin and self._process.stdout
        self._count += 1
        self._reports = [self._folder / f"report-{self._count}-{index}" for index in range(len(jobs))]
        named = [job | {"report": os.fspath(path)} for job, path in zip(jobs, self._reports, strict=True)]
        self._process.stdin.write(json.dumps(named) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def wait(self) -> list[int]:
        """How the processes ended, as ``waitpid`` says."""
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def reports(self) -> list[list[dict[str, Any]]]:
        """What each process of the last start wrote; a last line that was torn is left out."""
        return [
            [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            if path.exists()
            else []
            for path in self._reports
        ]


@contextmanager
def crew(folder: Path) -> Iterator[Crew]:
    """A crew whose reports go to ``folder``."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
    )  # fmt: skip
    with process:
        try:
            yield Crew(process, folder)
        finally:
            assert process.stdin
            process.stdin.close()


def kill(process: int) -> None:
    """With every git it started: its session's processes, and nobody else."""
    with suppress(ProcessLookupError):  # it had done all it was told
        os.kill(process, signal.SIGKILL)
    while others := [each for each in alive() if each[1] == process]:
        for each, _ in others:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def alive() -> Iterator[tuple[int, int]]:
    """Every process that is no zombie, and its session."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if state not in "ZX":
                    yield int(folder.name), int(session)


# -- in the other process ----------------------------------------------------------------------------------


def write_by_turns(job: dict[str, Any], report: Any) -> None:
    """Do what ``job["steps"]`` says: each is a verb, its arguments, and a message that nothing else has."""
    import modelregistry as mr

    registry = mr.Registry(job["root"], backend=job.get("backend"))
    for verb, arguments, message in job["steps"]:
        report({"tried": message})
        try:
            getattr(registry, verb)(*arguments.pop("args"), message=message, **arguments)
        except mr.ConflictError as error:
            report({"refused": message, "why": str(error)})
        else:
            report({"done": message})


def call_once(job: dict[str, Any], report: Any) -> None:
    """Run ``job["code"]`` on the registry ``r`` (at ``job["target"]``) with the message ``m``, in its own environment."""
    import modelregistry as mr

    signal.alarm(120)
    os.environ.update(job["environment"])
    os.chdir(job["root"])
    warnings.simplefilter("ignore", mr.RegistryWarning)
    exec(job["code"], {"r": mr.Registry(job["target"]), "m": job["message"]})
    report({"done": job["message"]})


def share_by_turns(job: dict[str, Any], report: Any) -> None:
    """Read and write, every verb that leaves ``current`` a holder; tell when each call began and ended.

    In a clone of the job's own; or, where the log is elsewhere, beside others in one: then ``job["revs"]`` are its own.
    """
    import modelregistry as mr
    from modelregistry.log import writing

    class SkewedClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=job["skew"])

    writing.datetime = SkewedClock  # type: ignore[misc]
    registry = mr.Registry(job["root"], backend=job.get("backend"))
    job["together"]()
    verbs = random.choices(list(VERBS), list(VERBS.values()), k=job["turns"])
    for turn, verb in enumerate(verbs):
        holder = ask(registry, report)
        message = f"{job['who']}.{turn} {verb}"
        version = random.choice([name for name in job["versions"] if name != holder])
        if verb == "register" and "revs" not in job:
            Path(job["root"], "churn.json").write_text(message)
            subprocess.run(["git", "commit", "--quiet", "-am", message], cwd=job["root"], check=True)
        report({"tried": message})
        call: dict[str, Any] = {"from": time.monotonic()}
        outcome = "done"
        try:
            match verb:
                case "promote":
                    registry.promote("churn", version, "current", message=message)
                    if message not in [event.message for event in registry.history("churn")]:
                        outcome = "idle"  # another had promoted that very version: nothing was to be written
                case "promote expected":
                    call["expected"] = holder
                    registry.promote("churn", version, "current", expected=holder, message=message)
                case "rollback":
                    registry.rollback("churn", "current", message=message)
                case "shadow":
                    version = random.choice([version, *job["shadows"]])
                    keep = version not in job["shadows"]  # moved there, it would leave ``current``
                    registry.promote("churn", version, "shadow", keep=keep, message=message)
                    if message not in [event.message for event in registry.history("churn")]:
                        outcome = "idle"
                case "annotate":
                    registry.annotate("churn", version, {"note": message}, message=message)
                case "register":
                    rev = job["revs"].pop() if "revs" in job else "HEAD"
                    registry.register("churn", rev=rev, message=message)
        except mr.ConflictError as error:
            outcome, call["why"] = "refused", str(error)
        except mr.StageEmptyError as error:
            outcome, call["why"] = "idle", str(error)
        report({outcome: message, "verb": verb} | call | {"to": time.monotonic()})
    ask(registry, report)


VERBS = {"promote": 6, "promote expected": 4, "rollback": 3, "shadow": 3, "annotate": 2, "register": 2}
"""How often each is called."""


def ask(registry: Any, report: Any) -> str:
    """Who is current, told with when that was asked and answered."""
    began = time.monotonic()
    holder = registry.get("churn#current").version
    report({"read": holder, "from": began, "to": time.monotonic()})
    return holder


def write_through_failures(job: dict[str, Any], report: Any) -> None:
    """Write until the file ``job["until"]`` is there, whatever becomes of the database meanwhile; settle what is unknown.

    ``job["patience"]`` is for how many seconds a database that does not answer is asked again.
    """
    import modelregistry as mr
    from modelregistry.backends import sqldatabase

    sqldatabase.READING_SECONDS = sqldatabase.WRITING_SECONDS = job["patience"]
    registry = mr.Registry(job["root"], backend=job["backend"])
    job["together"]()
    registered = None
    for turn in itertools.count():
        if os.path.exists(job["until"]):
            return
        message, version = f"{job['who']}.{turn}", f"v{job['who'] + 1}.0.{turn}"
        report({"tried": message})
        try:
            if turn % 3 == 1:
                registry.register("churn", rev=job["revs"].pop(), version=version, message=message)
                registered = version
            elif registered:  # which held nothing yet, so that there is something to write
                held, registered = registered, None
                registry.promote("churn", held, "current", message=message)
            else:
                registry.annotate("churn", None, {"note": message}, message=message)
        except mr.OutcomeUnknownError as error:
            report({"unknown": message, "why": str(error), "written": "is written" in str(error)})
            if turn % 3:  # else the next write does it
                report({"settled": message, "there": error.tag in sync_at_last(registry)})
        except (mr.UnreachableError, mr.ConflictError) as error:
            report({"refused": message, "why": str(error)})
        else:
            report({"done": message})


def sync_at_last(registry: Any) -> Sequence[str]:
    """What ``sync`` says is there of what was unknown, once the database can be asked."""
    import modelregistry as mr

    while True:
        with suppress(mr.UnreachableError):
            return registry.sync().published


def create_by_rounds(job: dict[str, Any], report: Any) -> None:
    """Create the next assignment together with all others, round after round; tell who was told that it is theirs."""
    import modelregistry as mr
    from modelregistry.backends.git import GitBackend
    from modelregistry.git.repo import GitRepo
    from modelregistry.log.changes import Writer, promote
    from modelregistry.log.history import History, Stages

    registry = mr.Registry(job["root"])
    for turn in range(job["rounds"]):
        message, version = f"{job['who']}.{turn}", f"v0.1.{(turn + 1) % 2}"
        if job["by"] == "append":
            backend = GitBackend(GitRepo.discover(job["root"]))
            log = backend.read("churn")
            writer = Writer("A", "a@e", datetime.now(UTC), "5" * 32, log.next_number, message)
            (event,) = promote(History("churn", log.events, Stages()), writer, version, "current").events
            job["together"]()
            won = backend.append(event) is not None
        else:
            registry.sync()
            holder = registry.get("churn#current").version
            job["together"]()
            try:
                registry.promote("churn", version, "current", expected=holder, message=message)
                won = True
            except mr.ConflictError:
                won = False
        report({"won" if won else "lost": message})
        job["together"]()


def migrate_once(job: dict[str, Any], report: Any) -> None:
    """Migrate, together with all others."""
    import modelregistry as mr
    from modelregistry.backends.sqlmigrations import run  # noqa: F401 - so that all of them begin at once

    job["together"]()
    report({"tried": job["backend"]})
    mr.migrate(job["backend"])
    report({"done": job["backend"]})


def append_by_turns(job: dict[str, Any], report: Any) -> None:
    """Append to the log of ``bare`` at the next free number; tell at which, and when each call began and ended.

    Who finds one taken tries the next: to read a log of thousands each time would measure that.
    """
    import modelregistry as mr
    from modelregistry.log.events import Assigned
    from modelregistry.testing import make_event

    backend = mr.open_backend(job["backend"])
    job["together"]()
    number = 0
    for turn in range(job["turns"]):
        message = f"{job['who']}.{turn}"
        report({"tried": message})
        began, taken, kept = time.monotonic(), -1, None
        while kept is None:
            number += 1
            facts = {
                "stage": "current",
                "version": "v0.1.0",
                "number": number,
                "id": message,
                "message": message,
            }
            kept = backend.append(make_event(Assigned, "bare", "0" * 40, second=number, **facts))
            taken += 1
        report(
            {"done": message, "number": kept.number, "taken": taken, "from": began, "to": time.monotonic()}
        )


def read_until_told(job: dict[str, Any], report: Any) -> None:
    """Ask who is current, by a kept registry and by fresh ones, until the file ``job["until"]`` is there."""
    import modelregistry as mr

    kept = mr.Registry(job["root"], backend=job.get("backend"))
    while not os.path.exists(job["until"]):
        for registry in (kept, mr.Registry(job["root"], backend=job.get("backend"))):
            ask(registry, report)
            holders = [row.version for row in registry.versions("churn", stage="current")]
            held = registry.get("churn#current")
            if len(holders) != 1 or "current" not in held.stages:
                report({"odd": holders})


def call_until_killed(job: dict[str, Any], report: Any) -> None:
    """One call of a writer whose own git kills it where ``job["environment"]`` says, at a moment that is said too."""
    import modelregistry as mr
    from tests.integration.determined import Determined

    os.environ.update(job["environment"])
    Determined(job["second"], job["last_id"]).install()
    registry = mr.Registry(job["root"], push=job["push"])
    options = {name: mr.EMPTY if value == "EMPTY" else value for name, value in job["options"].items()}
    try:
        getattr(registry, job["verb"])(*job["args"], **options)
    except mr.RegistryError as error:
        report({"refused": type(error).__name__})
    else:
        report({"done": job["verb"]})


JOBS = {
    "write": write_by_turns, "call": call_once, "share": share_by_turns, "create": create_by_rounds,
    "read": read_until_told, "die": call_until_killed, "persist": write_through_failures,
    "append": append_by_turns, "migrate": migrate_once,
}  # fmt: skip


def run_job(job: dict[str, Any]) -> int:
    descriptor = os.open(job["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def report(line: dict[str, Any]) -> None:
        os.write(descriptor, json.dumps(line).encode() + b"\n")

    random.seed(job.get("seed"))
    try:
        JOBS[job["job"]](job, report)
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        report({"error": traceback.format_exc()})
        return 1
    return 0


def main(lines: Sequence[str] | Any) -> None:
    from modelregistry import registry  # noqa: F401 - so that a fork starts at once
    from modelregistry.content import content  # noqa: F401

    for line in lines:
        ids, ready = [], os.pipe()
        jobs = json.loads(line)
        together = multiprocessing.get_context("fork").Barrier(len(jobs), timeout=120)
        for job in jobs:
            if (process := os.fork()) == 0:
                os.setsid()
                os.write(ready[1], b"1")
                os._exit(run_job(job | {"together": together.wait}))
            ids.append(process)
        for _ in ids:
            os.read(ready[0], 1)
        print(json.dumps(ids), flush=True)
        print(json.dumps([os.waitpid(process, 0)[1] for process in ids]), flush=True)
        for end in ready:
            os.close(end)


if __name__ == "__main__":
    main(sys.stdin)
