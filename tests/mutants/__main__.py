"""Change the code in one place at a time, and count how many of the changes the tests notice.

Mutmut mutates the bodies of functions that have no decorator. So it works on a copy in which properties are written
without: ``size = property(size)`` below the function. What is outside functions ``fields`` mutates by mutmut's rules.
Not mutated are the lines that hold a message and nothing else, annotations, and documentation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import libcst as cst

from tests.mutants.fields import TOP, mutants_outside_functions, try_in


class Part(NamedTuple):
    """What is mutated in one go, and the tests that are to notice."""

    functions: Sequence[str]
    """As mutmut names them, ``*`` being anything."""
    tests: Sequence[str]


_RULES = ("names", "log.events", "log.history", "log.changes", "log.requirements")
PARTS = {
    "rules": Part(
        [f"modelregistry.{name}.*" for name in _RULES],
        [f"tests/unit/test_{name.rpartition('.')[2]}.py" for name in (*_RULES, "log.checks", "log.tags")],
    ),
    "signers": Part(["modelregistry.trust.signers.*", "modelregistry.trust.signertexts.*"], ["tests/unit/test_signers.py"]),
    "writer": Part(
        [
            "modelregistry.backends.gitsharing.*",
            *(
                f"modelregistry.{name}__mutmut_*"
                for name in (
                    "git.transport.xǁTransportǁ*", "git.remote.xǁGitRemoteǁ__init__", "git.remote.xǁGitRemoteǁ__repr__",
                    "git.remote.xǁGitRemoteǁ_address", "git.remote.xǁGitRemoteǁ_push_address",
                    "git.remote.xǁGitRemoteǁ_transport", "git.remote.xǁGitRemoteǁrefs", "git.remote.xǁGitRemoteǁ_refs",
                    "git.remote.xǁGitRemoteǁcreate", "git.remote.xǁGitRemoteǁ_push", "git.remote.xǁGitRemoteǁ_call",
                    "git.remote.xǁGitRemoteǁ_failed", "git.remote.x__reason", "git.remote.x__lacks_right",
                )
            ),
            *(f"modelregistry.git.repo.xǁGitRepoǁ{name}__mutmut_*" for name in ("create_ref", "change_refs", "write_tag")),
        ],
        ["tests/integration/test_remote.py"],
    ),
}  # fmt: skip
LEAST = 0.9
"""The score that each module must keep."""
_COUNTED = {"killed": "killed", "timeout": "timeout", "caught by type check": "killed"}


class _Undecorated(cst.CSTTransformer):
    """Say ``@property`` after the function instead of before it; what is remembered for speed is not remembered."""

    def leave_FunctionDef(  # noqa: N802 - the name in the base class
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> Any:
        if len(updated_node.decorators) != 1:
            return updated_node
        decorator = cst.Module([]).code_for_node(updated_node.decorators[0].decorator)
        bare = updated_node.with_changes(decorators=[])
        if decorator.startswith("lru_cache("):
            return bare  # what the tests before had computed would hide the mutant
        if decorator not in {"property", "cached_property"}:
            return updated_node
        name = updated_node.name.value
        return cst.FlattenSentinel([bare, cst.parse_statement(f"{name} = {decorator}({name})\n")])


def copy(place: Path) -> None:
    """Copy what the tests need."""
    ignore = shutil.ignore_patterns("__pycache__", "bench", "mutants")
    for name in ("modelregistry", "tests"):
        shutil.copytree(TOP / name, place / name, ignore=ignore, dirs_exist_ok=True)
    shutil.copy2(TOP / "pyproject.toml", place)


def files_of(part: Part) -> list[str]:
    return sorted({name.rpartition(".")[0].replace(".", "/") + ".py" for name in part.functions})


def prepare(place: Path, part: Part) -> None:
    """A copy that mutmut works on, with the configuration for the part."""
    copy(place)
    files = files_of(part)
    for file in files:
        source = (TOP / file).read_text()
        (place / file).write_text(cst.parse_module(source).visit(_Undecorated()).code)
        shutil.copystat(TOP / file, place / file)
    settings = {"only_mutate": files, "pytest_add_cli_args_test_selection": list(part.tests)}
    table = "[tool.mutmut]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    text = (TOP / "pyproject.toml").read_text()
    assert text.count("[tool.mutmut]\n") == 1
    (place / "pyproject.toml").write_text(text.replace("[tool.mutmut]\n", table))


def mutmut(place: Path, *arguments: str, quiet: bool = True) -> str:
    done = subprocess.run(
        [os.fspath(Path(sys.executable).parent / "mutmut"), *arguments], cwd=place, check=False, text=True,
        stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT if quiet else None,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"mutmut {arguments[0]} failed\n{done.stdout or ''}")
    return done.stdout or ""


def try_fields(place: Path, part: Part, found: Path) -> None:
    """Try every mutant outside functions, and write down what became of it."""
    copy(place)
    if try_in(place, part.tests) != "survived":
        raise SystemExit(f"the tests fail where nothing is mutated: {' '.join(part.tests)}")
    verdicts: list[tuple[str, str, str]] = []
    for file in files_of(part):
        source = (TOP / file).read_text()
        module = file.removesuffix(".py").replace("/", ".")
        own = f"test_{module.rpartition('.')[2]}.py"
        tests = sorted(part.tests, key=lambda test, own=own: not test.endswith(own))  # the likeliest first
        for difference, code in mutants_outside_functions(file, source):
            (place / file).write_text(code)
            verdicts.append((f"{module}, outside functions", try_in(place, tests), difference))
            found.write_text(json.dumps(verdicts))
        (place / file).write_text(source)


def verdicts(place: Path, part: Part) -> Iterator[tuple[str, str]]:
    """Every mutant of the part inside functions, and what became of it."""
    for line in mutmut(place, "results", "--all", "true").splitlines():
        name, _, verdict = line.strip().rpartition(": ")
        if any(fnmatch(name, function) for function in part.functions):
            yield name, verdict


def report(place: Path, part: Part, found: Path, *, show: bool) -> bool:
    """Print the table of the part, and its survivors; returns whether every module keeps the least score."""
    counts: dict[str, Counter[str]] = {}
    survivors = []
    for name, verdict in verdicts(place, part):
        counts.setdefault(name.rpartition(".")[0], Counter())[_COUNTED.get(verdict, "survived")] += 1
        if verdict not in _COUNTED:
            survivors.append(mutmut(place, "show", name) if show else f"  {name}")
    for where, verdict, difference in json.loads(found.read_text()) if found.exists() else ():
        counts.setdefault(where, Counter())[verdict] += 1
        if verdict == "survived":
            survivors.append(difference)
    print(f"\n{'module':45}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}{'score':>8}")
    for module, each in (*sorted(counts.items()), ("together", sum(counts.values(), Counter()))):
        total = each.total()
        print(
            f"{module.removeprefix('modelregistry.'):45}{total:8}{each['killed']:8}{each['timeout']:8}"
            f"{each['survived']:9}{1 - each['survived'] / total:8.1%}"
        )
    print("\nSurvivors:" if survivors else "\nNo survivors.", *survivors, sep="\n")
    modules: dict[str, Counter[str]] = {}
    for module, each in counts.items():
        modules.setdefault(module.partition(",")[0], Counter()).update(each)
    return all(each["survived"] <= (1 - LEAST) * each.total() for each in modules.values())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__)
    parser.add_argument("place", type=Path, help="where the copies are made, and what was found is kept")
    parser.add_argument(
        "names", nargs="*", help="mutants to try again: only these (``modelregistry.names.*``)"
    )
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument(
        "--only", choices=("functions", "fields"), help="only what is inside, or outside, functions"
    )
    parser.add_argument("--report", action="store_true", help="run nothing, tell what was found before")
    parser.add_argument("--brief", action="store_true", help="name the survivors and don't show them")
    parser.add_argument("--jobs", default="1", help="mutants to try at once")
    options = parser.parse_args(arguments)
    kept = True
    for name in options.part or PARTS:
        part, place, found = PARTS[name], options.place / name, options.place / f"{name}-fields.json"
        if not options.report and options.only != "fields":
            prepare(place, part)
            mutmut(
                place, "run", "--max-children", options.jobs, *(options.names or part.functions), quiet=False
            )
        if not options.report and options.only != "functions" and not options.names:
            try_fields(options.place / "fields", part, found)
        kept &= report(place, part, found, show=not options.brief)
    if not kept:
        raise SystemExit(f"a module has a score of less than {LEAST:.0%}")


if __name__ == "__main__":
    main()
