"""Processes that write to and read from a registry on command: forked from one that has imported everything already.

Run as a script, it takes lines of JSON (one list of jobs each), forks a process for each job, says their ids, waits for
all of them and says how they ended. Each process leads a session of its own, so that it can be killed with every git it
started, and writes what it knows to a file of its own, a line at a time.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


# -- in the other process ----------------------------------------------------------------------------------


def write_by_turns(job: dict[str, Any], report: Any) -> None:
    """Do what ``job["steps"]`` says: each is a verb, its arguments, and a message that nothing else has."""
    import modelregistry as mr

    registry = mr.Registry(job["root"])
    for verb, arguments, message in job["steps"]:
        report({"tried": message})
        try:
            getattr(registry, verb)(*arguments.pop("args"), message=message, **arguments)
        except mr.ConflictError as error:
            report({"refused": message, "why": str(error)})
        else:
            report({"done": message})


def share_by_turns(job: dict[str, Any], report: Any) -> None:
    """Promote in a clone (plainly, and with the holder it believes in) and roll back; tell when each call began and ended."""
    from datetime import datetime, timedelta, tzinfo

    import modelregistry as mr
    from modelregistry import writing

    class SkewedClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=job["skew"])

    writing.datetime = SkewedClock  # type: ignore[misc]
    registry = mr.Registry(job["root"])
    for turn in range(job["turns"]):
        message = f"{job['who']}.{turn}"
        holder = registry.get("churn#current").version
        others = [f"v0.1.{number}" for number in range(job["versions"]) if f"v0.1.{number}" != holder]
        choice = random.random()
        report({"tried": message})
        known: dict[str, Any] = {"from": time.monotonic()}
        try:
            if choice < 0.2:
                registry.rollback("churn", "current", message=message)
            elif choice < 0.5:
                known["expected"] = holder
                registry.promote("churn", random.choice(others), "current", expected=holder, message=message)
            else:
                version = random.choice(others)
                before = len(registry.history("churn"))
                registry.promote("churn", version, "current", message=message)
                written = [event.message for event in registry.history("churn")[before:]]
                if (
                    message not in written
                ):  # somebody else had promoted that very version: nothing was to be written
                    report(
                        {"refused": message, "why": "it held the stage already"}
                        | known
                        | {"to": time.monotonic()}
                    )
                    continue
        except (mr.ConflictError, mr.StageEmptyError) as error:
            report({"refused": message, "why": str(error)} | known | {"to": time.monotonic()})
        else:
            report({"done": message} | known | {"to": time.monotonic()})


def read_until_told(job: dict[str, Any], report: Any) -> None:
    """Ask who is current, by a kept registry and by fresh ones, until the file ``job["until"]`` is there."""
    import modelregistry as mr

    kept, reads = mr.Registry(job["root"]), 0
    while not os.path.exists(job["until"]):
        for registry in (kept, mr.Registry(job["root"])):
            holders = [row.version for row in registry.versions("churn", stage="current")]
            held = registry.get("churn#current")
            if len(holders) != 1 or held.stages != ("current",):
                report({"odd": holders})
            reads += 1
    report({"reads": reads})


JOBS = {"write": write_by_turns, "share": share_by_turns, "read": read_until_told}


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
    from modelregistry import content, registry  # noqa: F401 - so that a fork starts at once

    for line in lines:
        ids, ready = [], os.pipe()
        for job in json.loads(line):
            if (process := os.fork()) == 0:
                os.setsid()
                os.write(ready[1], b"1")
                os._exit(run_job(job))
            ids.append(process)
        for _ in ids:
            os.read(ready[0], 1)
        print(json.dumps(ids), flush=True)
        print(json.dumps([os.waitpid(process, 0)[1] for process in ids]), flush=True)
        for end in ready:
            os.close(end)


if __name__ == "__main__":
    main(sys.stdin)
