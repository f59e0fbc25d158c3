"""Makes the project of the tour: a pipeline of DVC, trained and committed four times, in which nothing is registered yet.

    python docs/examples/trained.py FOLDER

The pages take their pictures from it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).with_name("project")
TRAININGS = {  # by their parameter: the first commit, and three that change a number
    "0.001": "Train a baseline",
    "0.01": "Regularise less",
    "0.1": "Regularise less still",
    "10": "Hardly regularise",
}


def train(project: Path) -> None:
    """Make the project in a folder that is not there yet."""
    shutil.copytree(SOURCES, project)
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        # The steps say `python`, and mean this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }

    def run(*command: str) -> None:
        subprocess.run(command, cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)

    def dvc(*arguments: str) -> None:
        run(sys.executable, "-m", "dvc", *arguments)

    run("git", "init", "--quiet", "--initial-branch=main")
    for setting in ("user.name=Mira", "user.email=mira@example.com", "commit.gpgSign=false"):
        run("git", "config", *setting.split("="))
    dvc("init", "--quiet")
    parameters = project / "params.yaml"
    for day, (strength, message) in enumerate(TRAININGS.items(), start=5):
        lines = parameters.read_text(encoding="utf-8").splitlines()
        parameters.write_text("\n".join([*lines[:-1], f"  C: {strength}", ""]), encoding="utf-8")
        dvc("repro", "--quiet")
        run("git", "add", "--all")
        environment |= {f"GIT_{who}_DATE": f"2026-10-{day:02}T12:00:00Z" for who in ("AUTHOR", "COMMITTER")}
        run("git", "commit", "--quiet", "--message", message)


if __name__ == "__main__":
    train(Path(sys.argv[1]))
