"""Types what a page says into a terminal."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def type_in(folder: Path, text: str) -> Path:
    """Run the lines that begin with ``$``, and hold what they print to the others; returns the folder where that ends."""
    commands = _COMMAND.findall(text)
    assert "".join(f"$ {command}\n{printed}" for command, printed in commands) == text, (
        f"not a session: {text}"
    )
    for command, printed in commands:
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{command}\npwd >&2"],
            cwd=folder, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        compare(done.stdout, printed, command)
        folder = Path(done.stderr.splitlines()[-1])
    return folder


def compare(printed: str, expected: str, what: str) -> None:
    """``…`` in what a page says stands for any text; a page may say nothing."""
    pattern = re.escape(expected.strip()).replace("…", ".*?")
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    assert not expected or re.fullmatch(pattern, lines, re.DOTALL), (
        f"{what}\nprinted\n{lines}\nnot\n{expected}"
    )
