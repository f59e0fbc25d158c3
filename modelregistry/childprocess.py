"""A program that is run to its end, or ended with all that it started when the time is up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_MOST_LOG = 20_000


def run(
    command: Sequence[str], folder: Path, log: Path, *, environment: Mapping[str, str], timeout: float | None
) -> tuple[int, str]:
    """Run a program; returns its exit code and the end of what it printed.

    A command that says ``python`` means this one, also where its environment was not activated (in a notebook, say).

    Args:
        command: The program and its arguments.
        folder: Where it runs.
        log: The file to keep what it prints.
        environment: What is set besides this process's own variables.
        timeout: Seconds after which it is ended.

    Raises:
        TimeoutError: The time was up.
        OSError: There is no such program.
    """
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "PATH": path, **environment},
        )  # fmt: skip
        try:
            status = process.wait(timeout)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError(f"{command[0]} did not end within {timeout:g} seconds") from error
            raise
    return status, log.read_bytes()[-_MOST_LOG:].decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program with all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, 9)
    process.kill()
    process.wait()
