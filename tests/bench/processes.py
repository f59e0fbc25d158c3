"""Rows about whole processes: importing the library, and loading a model, beside bare scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import modelregistry
from tests.bench.measure import Row, in_turn

_PEER = """
import hashlib, joblib
with open({path!r}, "rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
assert digest == {digest!r}
assert joblib.load({path!r}).n_features_in_ == 9
"""
_OURS = """
import modelregistry
model = modelregistry.load_model({name!r}, stage="current", registry={folder!r}, trust="code")
assert model.n_features_in_ == 9
"""


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


def loading(project: Path, megabytes: int, *, repeats: int) -> list[Row]:
    """Load a model whose bytes are in the DVC cache, beside a script that hashes the file and reads it."""
    registry = modelregistry.Registry(project)
    rows = []
    for name, what, times, most in (
        ("large", f"{megabytes} MB", 1.15, None),
        ("small", "a few kB", None, 0.25),
    ):
        digest = (registry.get(f"{name}#current").digest or "").removeprefix("sha256:")
        peer = _PEER.format(path=os.fspath(project / f"{name}.joblib"), digest=digest)
        ours = _OURS.format(name=name, folder=os.fspath(project))
        medians = in_turn(repeats, lambda ours=ours: run(ours), lambda peer=peer: run(peer))
        title = f"`load_model` of scikit-learn, {what}, the whole process"
        rows.append(Row(title, medians[0], "sha256 and joblib.load", medians[1], times, most))
    return rows
