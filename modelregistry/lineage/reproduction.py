"""Runs the pipeline of a version again, in a folder of its own, and compares what it made with what was recorded."""

from __future__ import annotations

import json
import os
import posixpath
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
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
from modelregistry.project.dvcfiles import read_lock
from modelregistry.project.yamltext import parse, typed


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
    plan = _Plan(lineage)
    if not plan.last:
        raise RefusedError(
            f"{reference} was not made by a step of the pipeline, so there is nothing to run again"
        )
    if frozen := list(filter(_is_frozen, plan.last)):
        raise RefusedError(
            f"{reference} can't be made again: its step {frozen[0].name!r} is frozen at its commit, and DVC does not run it"
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
        tree = Path(folder, "project")
        check_out(repo, rev, Path(folder), tree)
        for path in sorted(plan.inputs):  # a folder comes before what is in it
            if not (tree / path).exists():
                bring(path, (tree / path).parent)
        _unhook(tree)
        with reported(progress, f"making {reference} again", "steps") as report:
            report(0, len(plan.steps))
            log = _run(tree, Path(folder), plan.last, reference=reference, timeout=timeout)
            report(len(plan.steps), len(plan.steps))
        made = _made(tree, plan.steps)
        outputs = [
            compare(node, made.get(str(node.path)), lambda path: _values(tree, path), tolerance)
            for node in plan.outputs
        ]
        return Reproduction(reference, Rows(outputs, COLUMNS), time.monotonic() - began, log)


class _Plan:
    """What is to be run for a lineage, what that takes, and what it makes.

    Attributes:
        last: The steps that made the model, the folder that has it, or what is in it.
        steps: Those and all before them, up to frozen ones, which DVC does not run.
        inputs: Paths of what none of these steps makes.
        outputs: What they make, the model first.
    """

    def __init__(self, lineage: Lineage) -> None:
        own = {node.id: node for node in lineage if lineage.is_own(node)}
        placed = [node for node in own.values() if node.path is not None]
        sources: dict[str, list[Node]] = {}
        for edge in lineage.edges:
            if edge.source in own:
                sources.setdefault(edge.made, []).append(own[edge.source])

        def makers(node: Node) -> Iterable[Node]:
            near = sources.get(node.id, ()) if node.kind != "step" else ()
            return [each for each in near if each.kind == "step" or _share(each, lineage.subject)]

        def before(node: Node) -> Iterable[Node]:
            return sources.get(node.id, ()) if not _is_frozen(node) else ()

        self.last = [node for node in _walk([lineage.subject], makers) if node.kind == "step"]
        reached = _walk(self.last, before)
        self.steps = [node for node in reached if node.kind == "step" and not _is_frozen(node)]
        running = {step.id for step in self.steps}
        frozen = {node.id for node in reached if _is_frozen(node)}
        made = {edge.made for edge in lineage.edges if edge.source in running}
        kept = {edge.made for edge in lineage.edges if edge.source in frozen}
        # DVC looks at what a frozen step takes, too.
        kept |= {each.id for step in frozen for each in sources.get(step, ()) if each.kind != "params"}
        self.outputs = [node for node in placed if node.id in made]
        taken = {
            each.id
            for node in reached
            for each in before(node)
            if each.kind in ("dataset", "model")
            and not each.declared
            and not _holds(each, node)  # of a folder only this is taken
            and not any(_holds(each, inner) for inner in before(each))
        }
        self.inputs = {str(node.path) for node in placed if node.id in (taken | kept) - made}


def _walk(start: Iterable[Node], following: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """These and all that follow, each once."""
    seen = {node.id: node for node in start}
    pending = list(seen.values())
    for each in pending:
        new = [node for node in following(each) if node.id not in seen]
        seen.update({node.id: node for node in new})
        pending += new
    return pending


def _is_frozen(node: Node) -> bool:
    return node.kind == "step" and node.values.get("frozen") is True


def _share(one: Node, other: Node) -> bool:
    """Whether one of the two is a folder that has the other."""
    return _holds(one, other) or _holds(other, one)


def _holds(folder: Node, inner: Node) -> bool:
    return inner.kind != "step" and str(inner.path).startswith(f"{folder.path}/")


def _unhook(tree: Path) -> None:
    """Let what was imported be plain data: DVC would ask where it is from, and its bytes are verified and there."""
    for file in tree.rglob("*.dvc"):
        if file.is_symlink() or not file.is_file():
            continue
        data = file.read_bytes()
        document: object = None
        with suppress(InvalidFileError):  # DVC tells, where it needs that one
            document = typed(parse(data, file.name)) if b"deps:" in data else None
        if isinstance(document, dict) and document.get("deps"):
            file.write_text(json.dumps({key: document[key] for key in ("wdir", "outs") if key in document}))


def _run(tree: Path, folder: Path, steps: Sequence[Node], *, reference: str, timeout: float | None) -> str:
    """Run ``dvc repro`` up to these steps; the end of what it printed."""
    targets: dict[Path, list[str]] = {}
    for step in steps:
        file = tree / str(step.path)
        project = file.parent
        while not (project / ".dvc").is_dir():
            if project == tree:
                raise RefusedError(
                    f"{reference} can't be made again: {step.path!r} is in no DVC project at its commit"
                )
            project = project.parent
        name = step.name.removeprefix(f"{step.path}:")
        targets.setdefault(project, []).append(f"{file.relative_to(project).as_posix()}:{name}")
        # Nothing of this goes into the user's cache, and nothing is taken from there or from earlier runs.
        settings = (
            f"[core]\n    analytics = false\n    autostage = false\n[cache]\n    dir = {folder / 'cache'}\n"
        )
        (project / ".dvc" / "config.local").write_text(settings)
    environment = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": os.fspath(folder / "site")}
    text = ""
    for project, names in targets.items():
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache", "--no-commit", *names]
        try:
            status, text = run(command, project, folder / "log", environment=environment, timeout=timeout)
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


def _made(tree: Path, steps: Sequence[Node]) -> Mapping[str, str]:
    """What the lock files in the tree say now: the digest of each output of the steps, by path."""
    found = {}
    for file in dict.fromkeys(str(step.path) for step in steps):
        lock = (tree / file).with_name("dvc.lock")
        recorded = {step.name: step for step in read_lock(lock.read_bytes(), file)} if lock.exists() else {}
        for step in steps:
            again = recorded.get(step.name.removeprefix(f"{file}:")) if step.path == file else None
            for out in again.outs if again is not None else ():
                if out.md5 is not None:
                    path = posixpath.normpath(posixpath.join(str(step.values.get("wdir", ".")), out.path))
                    found[path] = f"{'md5-dos2unix' if out.legacy else 'md5'}:{out.md5}"
    return found
