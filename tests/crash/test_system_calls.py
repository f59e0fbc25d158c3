"""Every state-changing system call of a write, one after the other, is where a process of it is killed or fails.

Needs Debian's ``strace``: ``python -m nox -s crash``. Everything that is written is written by a git that we call (or
by one that it calls, in the remote too), so each of those is run under strace in turn, and each of its calls of each kind
is made a SIGKILL or an error of the disk. A kill ends the process that made the call; in every second run ours dies with
it. Whatever happens, the event is in the log of the remote afterwards or not; it is if the call returned; and after
what the error says, the same call works. strace counts per process: of two processes of one git, the second one's k-th
call is met once the first has fewer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import TOP, commit, git, init, write

CALLS = {
    "write": "write,pwrite64,writev",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
    "mkdir": "mkdir,mkdirat",
    "fsync": "fsync,fdatasync",
    "send": "sendto,sendmsg",
}
VERBS = {
    "register": "r.register('churn', message=m)",
    "promote": "r.promote('churn', 'v0.1.1', 'current', message=m)",
    "demote": "r.demote('churn', 'current', message=m)",
    "sync": "r.sync()",
}
FAULTS = {"SIGKILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
MOST = 60
MESSAGE = "the one"
GIT = shutil.which("git")
SHIM = """\
#!/bin/sh
count=$(($(cat "$SHIM_TOP/count") + 1))
echo $count > "$SHIM_TOP/count"
[ $count = "$SHIM_TARGET" ] || exec {git} "$@"
strace -f -qq -o "$SHIM_TOP/trace" -e "trace=$SHIM_CALLS" -e "inject=$SHIM_CALLS:$SHIM_FAULT" {git} "$@"
status=$?
[ -z "$SHIM_ALL" ] || ! grep -q "INJECTED\\|killed by SIGKILL" "$SHIM_TOP/trace" || kill -9 $PPID
exit $status
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a hub and a clone of it: two versions, v0.1.0 being current, v0.1.1 shadow; a third to register."""
    top = tmp_path_factory.mktemp("made")
    root = init(top / "first")
    write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    registry = Registry(root)
    for number in range(3):
        write(root / "churn.json", f'{{"churn": {number}}}')
        commit(root)
        if number < 2:
            registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.1.1", "shadow")
    git(top, "clone", "--quiet", "--bare", os.fspath(root), os.fspath(top / "hub.git"))
    git(top, "clone", "--quiet", os.fspath(top / "hub.git"), os.fspath(top / "clone"))
    git(top / "clone", "remote", "set-url", "origin", "../hub.git")
    return top


def attempt(top: Path, verb: str, target: int, names: str, fault: str, *, die: bool = False) -> bool:
    """Call the verb with the fault in the ``target``-th git; whether it returned, and so was acknowledged."""
    shim = write(top / "bin" / "git", SHIM.format(git=GIT))
    shim.chmod(0o755)
    write(top / "count", "0")
    code = f"import modelregistry as mr; m = {MESSAGE!r}; r = mr.Registry('.'); {VERBS[verb]}; open('../done', 'x').close()"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=top / "clone", check=False, capture_output=True, timeout=120,
        env=os.environ | {
            "PYTHONPATH": os.fspath(TOP), "PATH": f"{top / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SHIM_TOP": os.fspath(top), "SHIM_TARGET": str(target), "SHIM_CALLS": names, "SHIM_FAULT": fault,
            "SHIM_ALL": "yes" if die else "",
        },
    )  # fmt: skip
    return (top / "done").exists()


def written(place: Path) -> int:
    return sum(event.message == MESSAGE for event in Registry(place, remote=None).events())


def finish(top: Path, verb: str) -> int:
    """Do what the errors say until the same wish works; how many locks a dead git had left."""
    locks = 0
    for _ in range(3):
        try:
            registry = Registry(top / "clone")
            registry.check(repair=True)
            if verb != "sync" and not written(top / "hub.git"):
                exec(VERBS[verb], {"r": registry, "m": MESSAGE})
            return locks
        except (mr.GitError, mr.OutcomeUnknownError, mr.RefusedError):
            left = [path for place in ("clone/.git", "hub.git") for path in (top / place).rglob("*.lock")]
            if not left:
                raise
            for path in left:
                path.unlink()
            locks += len(left)
    raise AssertionError("it never worked again")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", VERBS)
def test_no_system_call_is_a_bad_moment(verb: str, fault: str, made: Path, tmp_path: Path) -> None:
    warnings.simplefilter("ignore", mr.RegistryWarning)
    seen: Counter[str] = Counter()

    def ready(name: str) -> Path:
        top = tmp_path / name
        shutil.copytree(made, top, ignore=shutil.ignore_patterns("first"))
        if verb == "sync":
            Registry(top / "clone", push=False).promote("churn", "v0.1.1", "current", message=MESSAGE)
        return top

    plain = ready("plain")
    assert attempt(plain, verb, 0, "none", FAULTS[fault])
    gits = int((plain / "count").read_text())
    for target in range(1, gits + 1):
        for call, names in CALLS.items():
            for number in range(1, MOST):
                top = ready(f"{target}-{call}-{number}")
                die = fault == "SIGKILL" and number % 2 == 0
                done = attempt(top, verb, target, names, f"{FAULTS[fault]}:when={number}", die=die)
                trace = (top / "trace").read_text(errors="replace") if (top / "trace").exists() else ""
                if "INJECTED" not in trace and "killed by SIGKILL" not in trace:
                    shutil.rmtree(top)
                    break  # no process came to that many
                judge(top, verb, done, f"git {target}, {call} {number}", seen)
            else:
                raise AssertionError(f"more than {MOST} {call} calls: enumerate them all")
    print(f"\n{verb}, {fault}: {gits} gits, {dict(seen)}")
    assert seen["points"] > 10


def judge(top: Path, verb: str, done: bool, point: str, seen: Counter[str]) -> None:
    """What must be so after a fault, and after the same wish was tried again."""
    seen["points"] += 1
    seen["acknowledged"] += done
    count = written(top / "hub.git")
    assert count <= 1
    assert count == 1 or not done, f"{point}: acknowledged and not there"
    seen["applied, not acknowledged"] += count and not done
    for place in ("hub.git", "clone"):
        git(top / place, "fsck", "--full", "--strict")
    seen["locks left"] += finish(top, verb)
    assert written(top / "hub.git") == 1
    assert Registry(top / "clone").check(repair=True) == []
    assert git(top / "hub.git", "tag") == git(top / "clone", "tag")
    assert not git(top / "clone", "for-each-ref", "refs/modelregistry/pending")
    shutil.rmtree(top)
