"""What holds for every format: a load stays on this machine, and says nothing."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.formatloading import load as load_quietly

os.environ["KERAS_BACKEND"] = "torch"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # that of the test's own calls


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"a connection to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture
def load(capfd: pytest.CaptureFixture[str]) -> Callable[..., object]:
    def load(path: Path, *, trust: object = None, loader: str | None = None) -> object:
        capfd.readouterr()
        loaded = load_quietly(path, trust=trust, loader=loader)
        assert capfd.readouterr() == ("", "")
        return loaded

    return load
