"""Evidence that a step of the pipeline ran in this clone, and that its result was committed here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from modelregistry.errors import InvalidFileError
from modelregistry.git.objects import GitObject
from modelregistry.git.repo import GitRepo
from modelregistry.project.dvcfiles import read_lock

_RUN = re.compile(r"[0-9a-f]{64}")
_FEW_BYTES = 1 << 20
_MAX_RUNS = 20_000


def has_run(cache: Path, md5: str) -> bool:
    """Whether the run cache of a project has a record of a step that made ``md5``: DVC writes one when it ran."""
    for record in islice(_run_records(cache / "runs"), _MAX_RUNS):
        try:
            if record.stat().st_size > _FEW_BYTES or md5.encode() not in (data := record.read_bytes()):
                continue
            # A record is what dvc.lock holds of one step.
            lock = b"schema: '2.0'\nstages:\n  run:\n" + b"".join(
                b"    " + line for line in data.splitlines(True)
            )
            if _has_out(lock, md5):
                return True
        except OSError:
            continue
    return False


def was_committed_here(repo: GitRepo, file: str, md5: str) -> bool:
    """Whether a commit made in this very clone, and no merge, brought ``md5`` into the ``dvc.lock`` at ``file``."""
    commits = repo.commits_made_here()
    names = [f"{commit}{suffix}" for commit in commits for suffix in (f":{file}", f"^1:{file}", "^2")]
    objects = repo.read(names, limit=_FEW_BYTES)
    for after, before, second in zip(objects[::3], objects[1::3], objects[2::3], strict=True):
        if second is None and _locks(after, md5) and (before is None or not _locks(before, md5)):
            return True
    return False


def _run_records(runs: Path) -> Iterator[Path]:
    """The records of DVC's run cache: ``<2>/<64 hex>/<64 hex>``."""
    for start in _names(runs):
        for key in filter(_RUN.fullmatch, _names(runs / start)):
            for record in filter(_RUN.fullmatch, _names(runs / start / key)):
                yield runs / start / key / record


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _has_out(lock: bytes, md5: str) -> bool:
    try:
        return any(out.md5 == md5 for step in read_lock(lock, "dvc.lock") for out in step.outs)
    except InvalidFileError:
        return False


def _locks(blob: GitObject | None, md5: str) -> bool:
    data = blob.data if blob is not None and blob.kind == "blob" else None
    return data is not None and md5.encode() in data and _has_out(data, md5)
