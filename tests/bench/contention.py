"""Many writers at once: processes that move one stage in clones of one hub; the same with GTO, and MLflow's aliases."""

from __future__ import annotations

import multiprocessing
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Literal, NamedTuple

from modelregistry import ConflictError, Registry
from tests.bench.measure import words
from tests.bench.registries import commit, git

if TYPE_CHECKING:  # it imports MLflow
    from tests.bench.writers import Write

HEAD = {
    "writers": "---:", "tool": "---", "acknowledged a second": "---:", "p50": "---:", "p99": "---:",
    "longest": "---:", "calls": "---:", "acknowledged": "---:", "refused": "---:", "failed": "---:", "lost": "---:",
}  # fmt: skip
"""The columns, and to which side their cells stand."""
OWN_VERSIONS = 3
"""Of each writer, so that a call finds something to write, also after one before it failed."""
_OURS = "modelregistry"
_TITLES = {_OURS: "`promote`", "GTO": "`gto.api.assign`", "MLflow": "MLflow on SQLite"}
_PATIENCE = 300.0  # seconds until every writer has imported and opened what it needs
Outcome = Literal["acknowledged", "refused", "failed"]


class Call(NamedTuple):
    """One call: the message it carried, when it began and ended, how, and why so."""

    message: str
    start: float
    end: float
    outcome: Outcome
    why: str

    @property
    def seconds(self) -> float:
        """How long its caller waited."""
        return self.end - self.start


@dataclass(frozen=True)
class Contest:
    """What became of the calls of writers that started at one moment."""

    writers: int
    tool: str
    calls: Sequence[Call]
    lost: int | None
    """Acknowledged calls that the hub knows nothing of; None where nothing is kept to tell."""

    @property
    def is_ours(self) -> bool:
        """Whether it is this library whose calls these are."""
        return self.tool == _OURS

    def ended(self, outcome: Outcome) -> list[Call]:
        """The calls that ended so."""
        return [call for call in self.calls if call.outcome == outcome]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        spent = max(call.end for call in self.calls) - min(call.start for call in self.calls)
        times = [call.seconds for call in self.ended("acknowledged")]
        counts = [len(self.ended(outcome)) for outcome in ("acknowledged", "refused", "failed")]
        return (
            str(self.writers), _TITLES[self.tool], f"{len(times) / spent:.3g}", words(percentile(times, 50)),
            words(percentile(times, 99)), words(max(call.seconds for call in self.calls)),
            *(f"{count:,}" for count in (len(self.calls), *counts)),
            "not kept" if self.lost is None else f"{self.lost:,}",
        )  # fmt: skip


def reasons(met: Iterable[Contest]) -> str:
    """Why calls were not acknowledged, a line for each tool, the most frequent reason first."""
    told: dict[str, Counter[str]] = {}
    for contest in met:
        told.setdefault(contest.tool, Counter()).update(call.why for call in contest.calls if call.why)
    lines = [
        f"* {_TITLES[tool]}: {'; '.join(f'{count:,} times `{why}`' for why, count in whys.most_common())}\n"
        for tool, whys in told.items()
        if whys
    ]
    return "".join(["Not acknowledged:\n\n", *lines] if lines else [])


def percentile(times: Sequence[float], percent: int) -> float | None:
    """The time within which so many of a hundred calls were answered; None of no calls."""
    if len(times) < 2:
        return times[0] if times else None
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


def contests(folder: Path, writers: Sequence[int], *, calls: int) -> Iterator[Contest]:
    """For each number of writers, one contest of each tool, one after the other.

    Args:
        folder: Where to make what they write to.
        writers: How many.
        calls: How many of each writer.
    """
    # MLflow would tell its makers, and the terminal.
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_LOGGING_LEVEL="ERROR")
    versions = OWN_VERSIONS * max(writers)
    folder.mkdir()
    hub = _make_hub(folder / "hub", versions)
    for number in writers:
        for tool in (_OURS, "GTO"):
            place = folder / f"{tool}-{number}"
            place.mkdir()
            git(place, "clone", "--quiet", "--bare", os.fspath(hub), "hub.git")
            for writer in range(number):
                clone = place / f"clone-{writer}"
                git(place, "clone", "--quiet", os.fspath(place / "hub.git"), os.fspath(clone))
                git(clone, "config", "user.name", f"Writer {writer}")  # GTO reads no GIT_CONFIG_GLOBAL
                git(clone, "config", "user.email", f"writer{writer}@example.com")
            made = _meet(tool, [os.fspath(place / f"clone-{writer}") for writer in range(number)], calls)
            kept = git(place / "hub.git", "for-each-ref", "--format=%(contents)", "refs/tags").decode()
            done = {call.message for call in made if call.outcome == "acknowledged"}
            yield Contest(number, tool, made, len(done - set(kept.splitlines())))
        database = os.fspath(folder / f"mlflow-{number}.db")
        with _processes(1) as pool:
            pool.submit(_make_store, database, versions).result()
        yield Contest(number, "MLflow", _meet("MLflow", [database] * number, calls), None)


def _make_hub(folder: Path, versions: int) -> Path:
    """A repository with so many versions of one model, the first of them on the stage."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: model.bin\n    type: model\n")
    registry = Registry(folder)
    for number in range(versions):
        (folder / "model.bin").write_text(str(number))
        commit(folder, f"Trained, {number}")  # of its own: GTO can't read two versions of one commit
        registry.register("churn", version=f"v0.1.{number}")
    registry.promote("churn", "v0.1.0", "current")
    git(folder, "pack-refs", "--all")
    return folder


def _meet(tool: str, places: Sequence[str], calls: int) -> list[Call]:
    """Let a writer in each place make so many calls, all of them starting together."""
    with _processes(len(places)) as pool:
        jobs = [pool.submit(_write, tool, place, writer, calls) for writer, place in enumerate(places)]
        return [call for job in jobs for call in job.result()]


def _processes(count: int) -> ProcessPoolExecutor:
    """So many processes, forked from one that has imported all three tools."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.bench.writers"])
    return ProcessPoolExecutor(count, context, _remember, (context.Barrier(count),))


# -- in the processes --------------------------------------------------------------------------------------

_start: Barrier


def _remember(barrier: Barrier) -> None:
    global _start  # noqa: PLW0603 - a barrier can't be sent to a process, only inherited
    _start = barrier


def _make_store(database: str, versions: int) -> None:
    from tests.bench.writers import make_store

    make_store(database, versions)


def _write(tool: str, place: str, writer: int, calls: int) -> list[Call]:
    """Open, read once, wait for the others, and move the stage through versions that nobody else moves."""
    from tests.bench.writers import OPENERS

    write = OPENERS[tool](place)
    _start.wait(_PATIENCE)
    return [
        _call(write, OWN_VERSIONS * writer + turn % OWN_VERSIONS, f"Call {turn} of writer {writer}.")
        for turn in range(1, calls + 1)
    ]


def _call(write: Write, number: int, message: str) -> Call:
    outcome: Outcome = "acknowledged"
    why = ""
    start = time.monotonic()
    try:
        write(number, message)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller was not served
        outcome = "refused" if isinstance(error, ConflictError) else "failed"
        why = _pattern(error)
    return Call(message, start, time.monotonic(), outcome, why)


def _pattern(error: Exception) -> str:
    """What went wrong, in one line that is the same for every call that it happened to."""
    said = (str(error).splitlines() or [""])[0].partition(". ")[0].replace("`", "'")
    for varies in (r"/[^\s'\"]*/", "[0-9]+"):  # where it happened, and to which tag
        said = re.sub(varies, "…", said)
    return f"{type(error).__name__}: {said}".removesuffix(": ")
