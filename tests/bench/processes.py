"""Rows about whole processes: importing the library."""

from __future__ import annotations

import os
import subprocess
import sys

import modelregistry
from tests.bench.measure import Row, in_turn


def run(code: str) -> None:
    """Run Python code in a process of its own, with the library that is being measured."""
    package = os.path.dirname(os.path.dirname(modelregistry.__file__))
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": package})


def importing(*, repeats: int) -> list[Row]:
    """Import the library, and the hub."""
    bare, pydantic, hub = in_turn(
        repeats,
        lambda: run("import modelregistry"),
        lambda: run("from pydantic import BaseModel"),
        lambda: run("import modelregistry; modelregistry.Registry"),
    )
    peer = "python -c 'from pydantic import BaseModel'"
    return [
        Row("`import modelregistry`, the whole process", bare, peer, pydantic, 1.5),
        Row("`import modelregistry; modelregistry.Registry`", hub, peer, pydantic),
    ]
