"""Every state-changing system call of a write, one after the other, is where a process of it is killed or fails.

Needs Debian's ``strace``: ``python -m nox -s crash``. Everything that is written is written by a git that we call (or
by one that it calls, in the remote too), so each of those is run under strace in turn, and each of its calls of each kind
is made a SIGKILL or an error. A kill ends the process that made the call; in every second run ours dies with
it. Whatever happens, the event is in the log of the remote afterwards or not; it is if the call returned; and after
what the error says, the same call works.

strace counts per process: of two processes of one git, the second one's k-th call is met once the first has fewer. It
can't tell opens that create a file from those that only read one. So those with ``O_CREAT`` are counted in a run
without a fault, and the opens of these numbers fail: of each process, also of one whose open of that number reads.

What a git writes into the pipe to whoever called it can be cut short by a kill, and is. It can't fail as a disk does, and
git ignores it if it does (``run_builtin`` in its ``git.c``): so no error is put there.

At a URL, the private mirror is fetched anew before the write. A lock that a dead git left in it is no matter for the
user, so there it is only made a minute old, and the library must break it.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.crew import Crew, crew
from tests.integration.projects import commit, git, init, write

CALLS = {
    "write": "write,pwrite64,writev",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
    "mkdir": "mkdir,mkdirat",
    "fsync": "fsync,fdatasync",
    "send": "sendto,sendmsg",
}
WRITES = CALLS["write"].split(",")
OPENS = "openat"
VERBS = {
    "register": "r.register('churn', message=m)",
    "promote": "r.promote('churn', 'v0.1.1', 'current', message=m)",
    "demote": "r.demote('churn', 'current', message=m)",
    "sync": "r.sync()",
    "promote at a URL": "r.promote('churn', 'v0.1.1', 'current', message=m)",
}
FAULTS = {"SIGKILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO", "EINTR": "error=EINTR"}
MOST = 60
MESSAGE = "the one"
GIT = shutil.which("git")
SHIM = """\
#!/bin/sh
exec 9>> "$SHIM_TOP/lock"
flock 9  # two gits may begin at once
count=$(($(cat "$SHIM_TOP/count") + 1))
echo $count > "$SHIM_TOP/count"
exec 9>&-
[ $count = "$SHIM_TARGET" ] || exec {git} "$@"
strace -f -qq -o "$SHIM_TOP/trace" $SHIM_STRACE {git} "$@"
status=$?
[ -z "$SHIM_ALL" ] || ! grep -q "INJECTED\\|killed by SIGKILL" "$SHIM_TOP/trace" || kill -9 $PPID
exit $status
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Crew]:
    with crew(tmp_path / "reports") as found:
        yield found


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
    git(top / "hub.git", "config", "uploadpack.allowFilter", "true")
    return top


class Look(NamedTuple):
    """What a git does when nothing fails."""

    calls: set[str]
    """Its kinds of calls."""
    creating: list[int]
    """Which opens create a file, by their number in a process."""
    told: set[int]
    """Which writes only tell something to whoever called, by their number in a process."""


class Stage:
    """Where one verb is called again and again, each time in a new copy of the hub and the clone."""

    def __init__(self, made: Path, folder: Path, verb: str, workers: Crew, patch: pytest.MonkeyPatch) -> None:
        self._made = made
        self._folder = folder
        self._verb = verb
        self._workers = workers
        self._patch = patch

    def ready(self, name: str) -> Path:
        top = self._folder / name
        shutil.copytree(self._made, top, ignore=shutil.ignore_patterns("first"))
        self._patch.setenv("MODELREGISTRY_CACHE", os.fspath(top / "cache"))
        if self._verb.endswith("URL"):
            Registry(target_of(top, self._verb))
            os.utime(here_of(top, self._verb) / "fetched", (0, 0))
        if self._verb == "sync":
            Registry(top / "clone", push=False).promote("churn", "v0.1.1", "current", message=MESSAGE)
        write(top / "bin" / "git", SHIM.format(git=GIT)).chmod(0o755)
        write(top / "count", "0")
        return top

    def call(self, top: Path, target: int, strace: str, *, die: bool = False) -> bool:
        """Call the verb with the ``target``-th git under strace; whether it returned, and so was acknowledged."""
        environment = {
            "PATH": f"{top / 'bin'}{os.pathsep}{os.environ['PATH']}", "SHIM_TOP": os.fspath(top),
            "SHIM_TARGET": str(target), "SHIM_STRACE": strace, "SHIM_ALL": "yes" if die else "",
            "MODELREGISTRY_CACHE": os.fspath(top / "cache"),
        }  # fmt: skip
        code = {
            "job": "call",
            "root": os.fspath(top / "clone"),
            "target": target_of(top, self._verb),
            "code": VERBS[self._verb],
            "message": MESSAGE,
        }
        self._workers.start(code | {"environment": environment})
        self._workers.wait()
        (report,) = self._workers.reports()
        return any("done" in line for line in report)

    def gits(self) -> int:
        """How many gits the verb calls."""
        top = self.ready("plain")
        assert self.call(top, 0, "")
        count = int((top / "count").read_text())
        shutil.rmtree(top)
        return count

    def look(self, target: int) -> Look:
        """What the ``target``-th git does."""
        top = self.ready("looked-at")
        assert self.call(top, target, f"-y -e trace={','.join([*CALLS.values(), OPENS])}")
        opened: Counter[str] = Counter()
        written: Counter[str] = Counter()
        called, creating, kept, most = set(), set(), set(), 0
        for line in (top / "trace").read_text(errors="replace").splitlines():
            process, _, rest = line.partition(" ")
            name = rest.lstrip().partition("(")[0]
            called.add(name)
            opened[process] += name == OPENS
            if name == OPENS and "O_CREAT" in rest:
                creating.add(opened[process])
            if name in WRITES:
                written[process] += 1
                most = max(most, written[process])
                if not re.match(r"\w+\([12]<pipe:", rest.lstrip()):
                    kept.add(written[process])
        shutil.rmtree(top)
        calls = {call for call, names in CALLS.items() if called & {*names.split(",")}}
        return Look(calls, sorted(creating), {*range(1, most + 1)} - kept)


def target_of(top: Path, verb: str) -> str:
    """What is opened as a registry."""
    return (top / "hub.git").as_uri() if verb.endswith("URL") else os.fspath(top / "clone")


def here_of(top: Path, verb: str) -> Path:
    """The repository on this side: the clone, or the mirror of the URL."""
    if not verb.endswith("URL"):
        return top / "clone"
    (mirror,) = (top / "cache" / "mirrors").glob("*.git")
    return mirror


def locks_in(place: Path) -> list[Path]:
    """What a git that died leaves in the way of the next: locks, and the file that becomes ``packed-refs``."""
    return [*place.rglob("*.lock"), *place.rglob("packed-refs.new")]


def written(place: Path) -> int:
    return sum(event.message == MESSAGE for event in Registry(place, remote=None).events())


def finish(top: Path, verb: str) -> Counter[str]:
    """Do what the errors say until the same wish works; how many locks a dead git had left, and where."""
    locks: Counter[str] = Counter()
    for _ in range(3):
        try:
            registry = Registry(target_of(top, verb), max_age=0)
            registry.check(repair=True)
            if verb != "sync" and not written(top / "hub.git"):
                exec(VERBS[verb], {"r": registry, "m": MESSAGE})
            return locks
        except (mr.GitError, mr.OutcomeUnknownError, mr.RefusedError):
            left = [path for place in ("clone/.git", "hub.git") for path in locks_in(top / place)]
            ours = locks_in(here_of(top, verb)) if verb.endswith("URL") else []
            if not left and not ours:
                raise
            for path in left:
                path.unlink()
            for path in ours:
                os.utime(path, (time.time() - 61,) * 2)
            locks += Counter({"locks left": len(left), "locks left in the mirror": len(ours)})
    raise AssertionError("it never worked again")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", VERBS)
def test_no_system_call_is_a_bad_moment(
    verb: str, fault: str, made: Path, workers: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings.simplefilter("ignore", mr.RegistryWarning)
    seen: Counter[str] = Counter()
    stage = Stage(made, tmp_path, verb, workers, monkeypatch)

    def met(target: int, call: str, names: str, number: int) -> bool:
        """Let the fault happen at that point and judge what came of it; False where no process came to that many."""
        top = stage.ready(f"{target}-{call}-{number}")
        strace = f"-e trace={names} -e inject={names}:{FAULTS[fault]}:when={number}"
        done = stage.call(top, target, strace, die=fault == "SIGKILL" and number % 2 == 0)
        trace = (top / "trace").read_text(errors="replace") if (top / "trace").exists() else ""
        happened = "INJECTED" in trace or "killed by SIGKILL" in trace
        if happened:
            seen[call] += 1
            judge(top, verb, done, f"git {target}, {call} {number}", seen)
        shutil.rmtree(top)
        return happened

    gits = stage.gits()
    for target in range(1, gits + 1):
        look = stage.look(target)
        for call in sorted(look.calls):
            number = 1
            told = look.told if call == "write" and fault != "SIGKILL" else set()
            while number in told or met(target, call, CALLS[call], number):
                number += 1
                assert number < MOST, f"more than {MOST} {call} calls: enumerate them all"
        for number in look.creating:
            met(target, "open", OPENS, number)
    print(f"\n{verb}, {fault}: {gits} gits, {dict(seen)}")
    assert seen["points"] > 10 and seen["open"] > 3


def judge(top: Path, verb: str, done: bool, point: str, seen: Counter[str]) -> None:
    """What must be so after a fault, and after the same wish was tried again."""
    seen["points"] += 1
    seen["acknowledged"] += done
    count = written(top / "hub.git")
    assert count <= 1
    assert count == 1 or not done, f"{point}: acknowledged and not there"
    seen["applied, not acknowledged"] += count and not done
    here = here_of(top, verb)
    for place in (top / "hub.git", here):
        git(place, "fsck", "--full", "--strict")
    seen += finish(top, verb)
    assert written(top / "hub.git") == 1
    assert Registry(target_of(top, verb), max_age=0).check(repair=True) == []
    assert git(top / "hub.git", "tag") == git(here, "tag")
    assert not git(here, "for-each-ref", "refs/modelregistry/pending")
    if verb.endswith("URL"):  # in a user's clone, one that is in nobody's way is left to its user
        assert not locks_in(here)
