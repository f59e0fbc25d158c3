"""What every test gets: an environment that nothing of the developer's own reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.strategies import FUZZ

if TYPE_CHECKING:  # only tests that want a database pay for it
    from tests.postgres import Postgres
    from tests.s3 import S3

# Every run draws the same examples and keeps none, so that a red test is red for everybody.
settings.register_profile(
    "tests",
    deadline=None,
    database=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# A mutant needs one test that fails, and not the smallest example.
settings.register_profile(
    "mutants", settings.get_profile("tests"), max_examples=25, phases=[Phase.explicit, Phase.generate]
)
# The long form of the laws about odd tags and names draws others each time; a red one says how to draw it again.
settings.register_profile("fuzz", settings.get_profile("tests"), derandomize=False)
settings.load_profile("fuzz" if FUZZ else "tests")

_UMASK = 0o022


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Files are as most users have them, and nobody changes that behind the process's back, as DVC does between threads."""
    os.umask(_UMASK)
    yield
    assert os.umask(_UMASK) == _UMASK


@pytest.fixture(autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, where Git knows who is writing; returns it."""
    home = tmp_path_factory.mktemp("home")
    settings = home / "gitconfig"
    settings.write_text(
        "[user]\n\tname = Ann Author\n\temail = ann@example.com\n"
        "[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n[advice]\n\tdetachedHead = false\n"
    )
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_", "MODELREGISTRY_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": home,
        "GIT_CONFIG_GLOBAL": settings,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": home / "dvc-site-cache",
        "DVC_SYSTEM_CONFIG_DIR": home / "dvc-system",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
    }.items():
        monkeypatch.setenv(name, os.fspath(value))
    return home


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, of this worker's own."""
    from tests.postgres import running

    with running() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """An S3 server, of this worker's own."""
    from tests.s3 import running

    with running() as server:
        yield server
