"""DVC, called as a library: what belongs to the whole process stays as it was, however many threads call it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelregistry.artifacts.dvcquiet import make_project, opened_project

THREADS = 4


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a folder takes a while, so that threads that make one meet."""
    make = os.makedirs

    def slow(*args: object, **kwargs: object) -> None:
        make(*args, **kwargs)  # type: ignore[arg-type]
        time.sleep(0.02)

    monkeypatch.setattr(os, "makedirs", slow)


@pytest.mark.usefixtures("slow_disk")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_threads_that_open_projects_at_once_leave_the_umask_as_it_was(mask: int, tmp_path: Path) -> None:
    def use(number: int) -> Path:
        folder = tmp_path / str(number)
        folder.mkdir()
        make_project(folder)
        with opened_project(folder) as project:
            return Path(project.root_dir)

    before = os.umask(mask)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            roots = list(pool.map(use, range(2 * THREADS)))
    finally:
        after = os.umask(before)
    assert after == mask
    assert roots == [(tmp_path / str(number)).resolve() for number in range(2 * THREADS)]
