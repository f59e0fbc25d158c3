"""Runs the pipeline of a version again, in a folder of its own, and compares what it made with what was recorded."""

from __future__ import annotations

import os
import posixpath
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from modelregistry.childprocess import run
from modelregistry.display.tables import Rows
from modelregistry.errors import InvalidFileError, RefusedError
from modelregistry.git.checkout import check_out
from modelregistry.git.repo import GitRepo
from modelregistry.lineage.facts import measured
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node
from modelregistry.lineage.reproduced import COLUMNS, Reproduction, check_tolerance, compare
from modelregistry.progress import Progress, reported
from modelregistry.project.documents import read_document
from modelregistry.project.dvcfiles import lock_outputs


def reproduce(
    repo: GitRepo,
    lineage: Lineage,
    *,
    rev: str,
    reference: str,
    bring: Callable[[str, Path], object],
    tolerance: float | Mapping[str, float] = 0.0,
    timeout: float | None = None,
    progress: Progress = None,
) -> Reproduction:
    """Make a version again with ``dvc repro``, in a temporary copy of its commit.

    Args:
        repo: Its repository, which is left alone.
        lineage: What made it.
        rev: Its commit.
        reference: What it is called, for messages.
        bring: Puts the verified bytes of a path of the commit into a folder.
        tolerance: How far a metric may be from what was recorded: for all, or by the end of its key.
        timeout: Seconds after which the pipeline is ended.
        progress: Who is told while the pipeline runs.

    Raises:
        RefusedError: No step of a pipeline made it, or one of them failed.
        InvalidInputError: A tolerance that is none.
        MissingBytesError: An input is nowhere to be had.
    """
    check_tolerance(tolerance)
    steps = [step for step in lineage.steps if lineage.is_own(step)]
    made_by = {edge.source for edge in lineage.edges if edge.made == lineage.subject.id}
    last = [step for step in steps if step.id in made_by]
    if not last:
        raise RefusedError(
            f"{reference} was not made by a step of the pipeline, so there is nothing to run again"
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
        tree = Path(folder, "project")
        check_out(repo, rev, Path(folder), tree)
        for node in filter(lineage.is_own, lineage.datasets):
            if node.path is not None and not node.declared and not (tree / node.path).exists():
                bring(node.path, (tree / node.path).parent)
        with reported(progress, f"making {reference} again", "steps") as report:
            report(0, len(steps))
            log = _run(tree, Path(folder), last, reference=reference, timeout=timeout)
            report(len(steps), len(steps))
        made = _made(tree)
        outputs = [
            compare(node, made.get(str(node.path)), lambda path: _values(tree, path), tolerance)
            for node in _outputs(lineage, steps)
        ]
        return Reproduction(reference, Rows(outputs, COLUMNS), time.monotonic() - began, log)


def _outputs(lineage: Lineage, steps: Sequence[Node]) -> list[Node]:
    """What the steps made, the model first."""
    ids = {step.id for step in steps}
    made = {edge.made for edge in lineage.edges if edge.source in ids}
    return [node for node in lineage if node.id in made and node.path is not None and lineage.is_own(node)]


def _run(tree: Path, folder: Path, steps: Sequence[Node], *, reference: str, timeout: float | None) -> str:
    """Run ``dvc repro`` up to these steps; the end of what it printed."""
    for step in steps:
        project = tree / posixpath.dirname(step.path or "")
        while not (project / ".dvc").is_dir():
            if project == tree:
                raise RefusedError(
                    f"{reference} can't be made again: {step.path!r} is in no DVC project at its commit"
                )
            project = project.parent
        # Nothing of this goes into the user's cache, and nothing is taken from there or from earlier runs.
        settings = (
            f"[core]\n    analytics = false\n    autostage = false\n[cache]\n    dir = {folder / 'cache'}\n"
        )
        (project / ".dvc" / "config.local").write_text(settings)
    targets = [step.name for step in steps]
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache", "--no-commit", *targets]
    environment = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": os.fspath(folder / "site")}
    try:
        status, text = run(command, tree, folder / "log", environment=environment, timeout=timeout)
    except TimeoutError as error:
        raise RefusedError(f"{reference} was not made again within {timeout:g} seconds") from error
    if status:
        raise RefusedError(f"{reference} can't be made again: its pipeline failed\n\n{text}")
    return text


def _values(tree: Path, path: str) -> Mapping[str, JsonValue]:
    try:
        found = measured(read_document((tree / path).read_bytes(), path))
    except (InvalidFileError, OSError):
        return {}
    return found


def _made(tree: Path) -> Mapping[str, str]:
    """What the lock files in the tree say now: the digest of each output, by path."""
    found = {}
    for lock in sorted(tree.rglob("dvc.lock")):
        plan = lock.with_name("dvc.yaml")
        file = lock.relative_to(tree).as_posix()
        for output in lock_outputs(file, lock.read_bytes(), plan.read_bytes() if plan.exists() else None):
            if output.path is not None and output.out.md5 is not None:
                found[output.path] = f"{'md5-dos2unix' if output.out.legacy else 'md5'}:{output.out.md5}"
    return found
