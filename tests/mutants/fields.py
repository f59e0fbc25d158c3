"""What mutmut leaves alone, mutated by its rules: constants, fields, defaults, regular expressions."""

from __future__ import annotations

import difflib
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import libcst as cst

TOP = Path(__file__).resolve().parents[2]
_CPU_SECONDS = 120


def mutants_outside_functions(file: str, source: str) -> Iterator[tuple[str, str]]:
    """Each mutant's difference, and the whole file with it."""
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    module, mutations, _, _ = create_mutations(file, source)
    for mutation in mutations:
        if not isinstance(mutation.contained_by_top_level_function, cst.FunctionDef):
            changed = deep_replace(module, mutation.original_node, mutation.mutated_node)
            assert isinstance(changed, cst.Module)
            lines = difflib.unified_diff(
                source.splitlines(), changed.code.splitlines(), file, file, "", "", 0, ""
            )
            yield "\n".join(lines), changed.code


def try_in(place: Path, tests: Sequence[str]) -> str:
    """What the tests say of the code in ``place``: each try in a process that has imported only what is not ours."""
    import git  # noqa: F401 - so that a fork need not
    import pydantic  # noqa: F401
    import pytest
    import semver  # noqa: F401

    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        os.chdir(place)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        # A file may change twice in the second that its bytecode is known by.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.path = [
            os.fspath(place),
            *(path for path in sys.path if Path(path or ".").resolve() != Path.cwd()),
        ]
        options = [
            "-x",
            "-q",
            "--rootdir=.",
            "-p",
            "no:cacheprovider",
            "--timeout=0",
            "--hypothesis-profile=mutants",
        ]
        try:
            status = int(pytest.main([*options, *tests]))
        except BaseException:  # noqa: BLE001 - a mutant may raise anything where it is imported
            status = 1
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "timeout"
    return "survived" if status == 0 else "killed"
