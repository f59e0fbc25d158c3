"""Draws where a model came from: trains the project of the demonstration twice, and writes its lineage as SVG.

    python docs/examples/picture.py FOLDER

The pages show what it writes: `lineage.svg`, and `difference.svg` between the two versions.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import modelregistry as mr

EXAMPLES = Path(__file__).parent
IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Demo"), ("EMAIL", "demo@example.com"), ("DATE", "2026-10-05T12:00:00Z"))}  # fmt: skip


def draw(into: Path) -> None:
    """Write the pictures into a folder."""
    logging.getLogger("modelregistry").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="modelregistry-picture-") as folder:
        project = Path(folder, "project")
        shutil.copytree(EXAMPLES / "project", project)
        ours = {  # nothing of the user's is read or written
            "MODELREGISTRY_CACHE": f"{folder}/cache", "MODELREGISTRY_HOME": f"{folder}/home",
            "DVC_SITE_CACHE_DIR": f"{folder}/site", "DVC_GLOBAL_CONFIG_DIR": f"{folder}/home", "DVC_NO_ANALYTICS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }  # fmt: skip
        before = dict(os.environ)
        os.environ.update(ours | IDENTITY)
        try:
            old, new = lineages(project)
        finally:
            os.environ.clear()
            os.environ.update(before)
    into.mkdir(parents=True, exist_ok=True)
    (into / "lineage.svg").write_text(new.to_svg(), encoding="utf-8")
    (into / "difference.svg").write_text(old.diff(new).to_svg(), encoding="utf-8")


def lineages(project: Path):
    """Train a baseline, then with another parameter, and register both."""

    def run(*command: str) -> None:
        program = [sys.executable, "-m"] if command[0] == "dvc" else []
        subprocess.run([*program, *command], cwd=project, check=True, capture_output=True)

    run("git", "init", "--quiet", "--initial-branch=main")
    run("dvc", "init", "--quiet")
    registry = mr.Registry(project, remote=None)
    found = []
    parameters = project / "params.yaml"
    for message, text in (("Train a baseline", "C: 0.001"), ("Regularise less", "C: 1")):
        parameters.write_text(parameters.read_text().replace("C: 0.001", text))
        run("dvc", "repro", "--quiet")
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--no-gpg-sign", "--message", message)
        found.append(registry.register("tumour", message=message).lineage)
    return found


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
