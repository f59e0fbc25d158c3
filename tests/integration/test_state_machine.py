"""Two clones and a hub under any sequence of calls, deaths and broken connections, GTO writing too.

After every step the three repositories hold the very events that the specification says: the pure rules on a log in
memory (``specification.py``). The clock and the random ids are said beforehand, so events are compared whole, and the
same step has the same outcome each time. At the end of each sequence everything is shared and repaired: the clones and
the hub are the same then, nothing waits, ``check()`` finds nothing of ours, and GTO answers like us wherever it does not
contradict itself.

GTO writes with ``gto.api`` (the time of its tags is set afterwards: it goes by the wall clock). A git that is put before
the real one kills its caller, or lets another clone push first. ``MODELREGISTRY_MACHINE=500x50`` makes it long, from a
seed that it prints; ``500x50@SEED`` draws the same sequences again.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import gto.api
import hypothesis.strategies as st
import pygit2
import pytest
from gto.exceptions import GTOException
from hypothesis import seed, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import modelregistry as mr
from modelregistry import Registry
from modelregistry.git import remote as gitremote
from modelregistry.log import writing
from modelregistry.log.checks import Problem
from modelregistry.log.events import Assigned, Bytes, Deregistered, Event, Registered, Unassigned
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import RawTag, parse
from modelregistry.names import version_key
from tests.compat.views import ended_unseen, expected_of_gto, seen_by_gto, seen_by_us, table_of_gto
from tests.integration.crew import Crew, crew
from tests.integration.determined import START, Determined
from tests.integration.projects import commit, git, init, write
from tests.integration.specification import COMMITTED, Call, Commit, Outcome, State, World, person
from tests.strategies import said

LENGTH, _, SEED = os.environ.get("MODELREGISTRY_MACHINE", "80x30").partition("@")
LONG = "MODELREGISTRY_MACHINE" in os.environ
EXAMPLES, STEPS = map(int, LENGTH.split("x"))
PARTS = 4
CLONES = ("ann", "bob")
MODELS = ("churn", "nlp:intent")
STAGES = ("shadow", "current")
COMMITS = 10
TAGS, PENDING, REFUSED = "refs/tags/", "refs/modelregistry/pending/", "refs/modelregistry/refused/"

# -- wishes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What somebody wants; which version they mean is known once there are some."""

    verb: str
    model: str = MODELS[0]
    version: int = 0
    other: int = 0
    stage: str = STAGES[1]
    how: Any = None


class Turn(NamedTuple):
    """Whose turn it is, after how many seconds, and whether what is written is only staged."""

    who: str
    pause: int = 1
    staged: bool = False


_models = st.sampled_from([*MODELS[:1] * 5, *MODELS[1:]])
_stages = st.sampled_from(STAGES)
_some = st.integers(0, 19)


def wishes(verb: str, how: Any = None) -> st.SearchStrategy[Wish]:
    return st.builds(
        Wish, st.just(verb), model=_models, version=_some, other=_some, stage=_stages,
        how=st.sampled_from(how) if how else st.none(),
    )  # fmt: skip


registrations = wishes("register", [None, None, None, "minor", "v0.1.0", "v0.2.0", "v1.0.0-rc.1", "v1.0.0"])
promotions = wishes("promote", [None, None, None, "keep", "right", "right", "wrong", "nobody"])
rollbacks = wishes("rollback", [None, None, "keep"])
demotions = wishes("demote", [None, None, "named"])
withdrawals = wishes("withdraw", [None, "nobody", "nobody", "other", "other", "other"])
annotations = wishes("annotate", [{"owner": "risk"}, {"auc": 0.9}, {"owner": None}, {"auc": 0.8, "x": [1]}])
deprecations = wishes("deprecate")
notes = st.one_of(annotations, annotations, annotations, deprecations)
any_wish = st.one_of(
    registrations, promotions, promotions, promotions, rollbacks, rollbacks, demotions, withdrawals, notes
)
gto_wishes = st.one_of(
    *map(
        wishes,
        ["assign", "assign", "assign", "assign a commit", "register", "unassign", "deregister", "deprecate"],
    )
)
turns = st.builds(
    Turn, st.sampled_from(CLONES), st.sampled_from([1, 1, 1, 30]), st.sampled_from([False, False, True])
)

# -- repositories --------------------------------------------------------------------------------------------------


class Place:
    """A repository as it is, read without our library."""

    _known: ClassVar[dict[str, Event]] = {}

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self.repo = pygit2.Repository(os.fspath(git_dir))

    def refs(self, prefix: str) -> dict[str, str]:
        """The object of every reference below ``prefix``, by the rest of its name."""
        names = [name for name in self.repo.listall_references() if name.startswith(prefix)]
        return {name.removeprefix(prefix): str(self.repo.lookup_reference(name).target) for name in names}

    def state(self) -> State:
        pending = [self.event(name.partition("/")[2], oid) for name, oid in self.refs(PENDING).items()]
        refused = [self.event(name.partition("/")[2], oid) for name, oid in self.refs(REFUSED).items()]
        return State(
            {tag: self.event(tag, oid) for tag, oid in self.refs(TAGS).items()},
            {event.id: event for event in pending},
            {(event.source, event.id) for event in refused},
        )

    def event(self, tag: str, oid: str) -> Event:
        found = self._known.get(oid)
        if found is None:
            event = parse(RawTag(tag, oid, "tag", self.repo[oid].read_raw()))
            assert isinstance(event, Event), event
            found = self._known[oid] = event
        return found

    def date(self, tag: str, second: int) -> Event:
        """The tag at another time, as GTO would have written it then."""
        raw = self.repo[self.repo.lookup_reference(TAGS + tag).target].read_raw()
        dated = re.sub(rb"> \d+ [+-]\d{4}\n", b"> %d +0000\n" % second, raw, count=1)
        oid = self.repo.odb.write(pygit2.enums.ObjectType.TAG, dated)
        self.repo.references.create(TAGS + tag, oid, force=True)
        return self.event(tag, str(oid))


def differences(found: State, expected: State) -> Iterator[str]:
    """Where the two are not the same, for people."""
    for what in ("tags", "pending"):
        here, there = getattr(found, what), getattr(expected, what)
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                yield f"{what} {name}:\n  found {here.get(name)!r}\n  expected {there.get(name)!r}"
    for name in sorted(found.refused ^ expected.refused):
        yield f"{name} is {'set aside' if name in found.refused else 'not set aside'}"


ELSEWHERE = "unset GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_INDEX_FILE GIT_WORK_TREE; AT=;"
SHIM = """\
#!/bin/sh
# Git, but that one of the calls named in $AT is preceded by what $DO says: the $COUNT-th.
for verb in $AT; do
    case " $* " in *" $verb "*)
        echo >> "$CALLS"
        [ "$(wc -l < "$CALLS")" -ne "$COUNT" ] || eval "$DO"
    esac
done
exec "$GIT" "$@"
"""


@dataclass
class Bench:
    """What the sequences of one test share."""

    folder: Path
    stages: Stages
    commits: Mapping[str, Commit]
    crew: Crew
    determined: Determined
    patch: pytest.MonkeyPatch
    counts: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    def shim(self, at: str, count: int, do: str) -> dict[str, str]:
        """The environment in which git does that first."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        path = f"{self.folder / 'shim'}{os.pathsep}{os.environ['PATH']}"
        real = shutil.which("git")
        assert real
        return {"PATH": path, "GIT": real, "AT": at, "COUNT": str(count), "DO": do, "CALLS": os.fspath(calls)}


def build(folder: Path, shared: bool) -> tuple[Stages, dict[str, Commit]]:
    """The template: a hub and its clones, with two versions of the first model, one of them current."""
    root = init(folder / "made")
    option = "{exclusive = false}" if shared else "{}"
    write(root / ".modelregistry.toml", f"[stages]\nshadow = {option}\ncurrent = {{}}\n")
    write(root / ".gto", f"stages: [{', '.join(STAGES)}]\n")  # spares GTO a second reading of all tags
    write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    write(root / "nlp" / "dvc.yaml", "artifacts:\n  intent: {path: intent.json, type: model}\n")
    commits = {}
    probe = Registry(root)
    for number in range(COMMITS):
        kind = min(number, COMMITS - 2)  # the last commit has no new bytes
        write(root / "churn.json", f'{{"churn": {kind}}}')
        write(root / "nlp" / "intent.json", f'{{"intent": {kind}}}')
        write(root / "notes", str(number))
        rev = commit(root)
        contents = {}
        for model in MODELS:
            with warnings.catch_warnings(action="ignore"):
                found = probe.register(model, rev=rev).registered
            contents[model] = Bytes(found.digest, found.address, found.size, found.files, found.manifest)
        commits[rev] = Commit(rev, git(root, "rev-parse", f"{rev}^{{tree}}"), contents)
    git(root, "tag", "--delete", *git(root, "tag").split())
    first, second, *_ = commits
    probe.register("churn", rev=first)
    probe.register("churn", rev=second)
    probe.promote("churn", "v0.1.0", "current")
    template = folder / "template"
    git(folder, "clone", "--quiet", "--bare", "--template=", os.fspath(root), os.fspath(template / "hub"))
    git(template / "hub", "repack", "-adq")
    git(template / "hub", "remote", "remove", "origin")
    for name in CLONES:
        git(template, "clone", "--quiet", "--template=", os.fspath(template / "hub"), name)
        git(template / name, "config", "remote.origin.url", "../hub")
    for name in ("hub", *CLONES):
        by = person(name)
        with open(
            template / name / ("config" if name == "hub" else ".git/config"), "a", encoding="utf-8"
        ) as file:
            # Nothing is to be tidied up after each of a few pushes.
            file.write("[gc]\n\tauto = 0\n[receive]\n\tautoGC = false\n[maintenance]\n\tauto = false\n")
            file.write(f"[user]\n\tname = {by.name}\n\temail = {by.email}\n")
    return Stages(STAGES, frozenset({"shadow"} if shared else ()), written_down=True), commits


# -- the machine -----------------------------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """One sequence of steps."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        bench = self.bench
        bench.runs += 1
        self.root = bench.folder / f"run-{bench.runs}"
        shutil.copytree(bench.folder / "template", self.root, symlinks=True)
        self.places = {"hub": Place(self.root / "hub")}
        self.places |= {name: Place(self.root / name / ".git") for name in CLONES}
        self.hub = Registry(self.root / "hub")
        self.registries = {
            (name, staged): Registry(self.root / name, push=not staged)
            for name in CLONES
            for staged in (False, True)
        }
        self.world = World({name: person(name) for name in CLONES}, bench.commits, bench.stages)
        for tag, event in self.places["hub"].state().tags.items():
            self.world.hub.append(event)
            for clone in self.world.clones.values():
                clone.state.tags[tag] = event
        self.now = START + 1000
        self.steps = 0
        self.ahead = dict.fromkeys(CLONES, 0)
        self.model = MODELS[0]
        self.sound = True

    @initialize(seconds=st.sampled_from([0, 0, 0, 0, 40, -40]))
    def set_clock(self, seconds: int) -> None:
        self.ahead["bob"] = seconds

    # -- one step ------------------------------------------------------------------------------------------------

    @contextmanager
    def step(self, turn: Turn) -> Iterator[None]:
        self.sound = False
        self.now += turn.pause
        self.steps += 1
        yield
        self.compare()
        self.sound = True

    def time_of(self, who: str) -> None:
        """What this writer's clock says; the ids are those of this step, the same each time this is called."""
        self.bench.determined.second = self.now + self.ahead[who]
        self.bench.determined.last_id = self.steps * 1000

    def really(self, who: str, call: Call, *, staged: bool = False) -> Outcome:
        """Call the real registry of the clone."""
        registry = self.registries[who, staged]
        with warnings.catch_warnings(action="ignore", category=mr.RegistryWarning):
            try:
                answer = getattr(registry, call.verb)(*call.args, **call.options)
            except mr.RegistryError as error:
                believed = getattr(error, "believed", None), getattr(error, "found", None)
                return Outcome(type(error).__name__, believed)
        if isinstance(answer, mr.ModelVersion):
            return Outcome(None, (answer.version, answer.state, answer.stages, dict(answer.metadata)))
        return Outcome(None, answer)

    def do(self, who: str, call: Call, *, staged: bool = False) -> None:
        """The call, here and as specified."""
        known = set(self.world.clones[who].state.tags)
        self.model = call.model
        self.time_of(who)
        real = self.really(who, call, staged=staged)
        self.time_of(who)
        assert real == self.world.call(who, call, staged=staged), call
        written = [event for tag, event in self.world.clones[who].state.tags.items() if tag not in known]
        self.count(call.verb, real.error or ("done" if written else "nothing to do"))
        if "expected" in call.options and not real.error and not staged:
            self.check_belief(who, call, written)

    def check_belief(self, who: str, call: Call, came: list[Event]) -> None:
        """Whoever named the holder and was answered: that one held the stage, in the order that everybody reads."""
        model, _, stage = call.args
        believed = call.options["expected"]
        for event in came:
            mine = isinstance(event, Assigned) and (event.author, event.stage) == (who.title(), stage)
            if mine and event.written_at == datetime.fromtimestamp(self.now + self.ahead[who], UTC):
                log = [
                    other for other in self.world.history("hub", model).events if other.order < event.order
                ]
                holders = History(model, log, self.bench.stages).holders(stage)
                assert not holders if believed is mr.EMPTY else believed in holders, f"{call}: {holders}"

    def count(self, *words: str) -> None:
        self.bench.counts[": ".join(words)] += 1

    def compare(self) -> None:
        """Every repository holds what is specified; and the hub's registry, open all along, says so."""
        for name, expected in self.world.states().items():
            found = self.places[name].state()
            assert found == expected, f"{name}: " + "\n".join(differences(found, expected))
        assert said(self.hub._read(self.model).history) == said(self.world.history("hub", self.model))

    # -- what is wished ------------------------------------------------------------------------------------------

    def meant(self, who: str, wish: Wish) -> Call:
        """The call that the wish is for somebody who sees what this clone has: mostly one that is granted."""
        known = self.world.history(who, wish.model).versions
        model = wish.model if known or wish.verb == "register" or wish.other == 19 else MODELS[0]
        history = self.world.history(who, model)
        full = [stage for stage in STAGES if history.holders(stage)]
        back = wish.verb in ("rollback", "demote") and wish.other < 15 and full
        stage, how = full[-1] if back and wish.stage not in full else wish.stage, wish.how
        version, other = self.version(who, model, wish.version), self.version(who, model, wish.other)
        match wish.verb:
            case "register":
                options: dict[str, Any] = {"rev": self.commit(who, model, wish.version)}
                if how:
                    options |= {"version": how} if how[0] == "v" else {"bump": how}
                return Call("register", (model,), options)
            case "promote":
                holder = next(iter(history.holders(stage)), mr.EMPTY)
                options = {
                    None: {}, "keep": {"keep": True}, "right": {"expected": holder}, "wrong": {"expected": other},
                    "nobody": {"expected": mr.EMPTY},
                }[how]  # fmt: skip
                version = self.version(who, model, wish.version, but=stage)
                return Call("promote", (model, version, stage), options)
            case "rollback":
                return Call("rollback", (model, stage), {"keep": True} if how else {})
            case "demote":
                return Call("demote", (model, stage), {"version": version} if how else {})
            case "withdraw":
                then = {"nobody": {"then": mr.EMPTY}, "other": {"then": other}, None: {}}[how]
                return Call("withdraw", (model, version), then)
            case "annotate":
                return Call("annotate", (model, None if wish.other > 15 else version, how), {})
            case _:
                return Call("deprecate", (model,), {})

    def version(self, who: str, model: str, number: int, *, but: str = "") -> str:
        """A version that may be promoted and does not hold the stage; now and then another, or none at all."""
        history = self.world.history(who, model)
        known = sorted(history.versions, key=version_key)
        good = [name for name in known if history.versions[name].served and name not in history.holders(but)]
        chosen = good if good and number < 17 else known
        return chosen[number % len(chosen)] if chosen and number < 19 else "v0.9.9"

    def commit(self, who: str, model: str, number: int) -> str:
        """A commit that no version was made from; now and then any."""
        history = self.world.history(who, model)
        made = {record.registered.source_rev or record.registered.rev for record in history.versions.values()}
        free = [rev for rev in self.bench.commits if rev not in made]
        chosen = free if free and number < 15 else list(self.bench.commits)
        return chosen[number % len(chosen)]

    # -- rules: the verbs ----------------------------------------------------------------------------------------

    def ask(self, turn: Turn, wish: Wish) -> None:
        with self.step(turn):
            self.do(turn.who, self.meant(turn.who, wish), staged=turn.staged)

    # Hypothesis leaves out some of the rules in each sequence, so the verbs are not one each.

    @rule(turn=turns, wish=any_wish)
    def write(self, turn: Turn, wish: Wish) -> None:
        self.ask(turn, wish)

    @rule(turn=turns, wish=st.one_of(registrations, promotions, promotions))
    def go_on(self, turn: Turn, wish: Wish) -> None:
        self.ask(turn, wish)

    # -- rules: sharing ------------------------------------------------------------------------------------------

    @rule(turn=turns, how=st.sampled_from(["git fetch", "git fetch", "sync", "sync", "repair"]))
    def share(self, turn: Turn, how: str) -> None:
        with self.step(turn):
            if how == "git fetch":
                command = ["git", "-C", self.root / turn.who, "fetch", "--quiet", "--tags", "origin"]
                # It fails where GTO left a losing tag, and brings the others.
                subprocess.run(command, check=False, capture_output=True)
                self.world.fetch(turn.who)
            elif how == "sync":
                self.sync(turn.who)
            else:
                self.repair(turn.who)
            self.count(how, "done")

    def sync(self, who: str) -> None:
        with warnings.catch_warnings(action="ignore", category=mr.RegistryWarning):
            published, refused = self.registries[who, False].sync()
        expected = self.world.sync(who)
        assert expected is not None
        assert (published, set(refused)) == (expected.published, set(expected.refused))
        assert self.places[who].refs(TAGS) == self.places["hub"].refs(TAGS)
        assert not self.places[who].refs(PENDING)

    def repair(self, who: str) -> list[Problem]:
        """What ``check()`` still finds then."""
        self.time_of(who)
        with warnings.catch_warnings(action="ignore", category=mr.RegistryWarning):
            problems = self.registries[who, False].check(repair=True, accept=True)
        self.time_of(who)
        self.world.repair(who)
        return list(problems)

    # -- rules: what goes wrong ----------------------------------------------------------------------------------

    @rule(turn=turns, wish=any_wish, count=st.sampled_from([1, 2, 3, 3, 4, 5, 6]))
    def die(self, turn: Turn, wish: Wish, count: int) -> None:
        """The writer is killed before one of the git calls that write."""
        who = turn.who
        with self.step(turn):
            waits = self.world.clones[who].state.pending and wish.other > 9
            call = Call("sync", (), {}) if waits else self.meant(who, wish)
            self.time_of(who)
            options = {name: "EMPTY" if value is mr.EMPTY else value for name, value in call.options.items()}
            environment = self.bench.shim("mktag push update-ref", count, "kill -9 $PPID; exit 1")
            self.bench.crew.start(
                {
                    "job": "die", "root": os.fspath(self.root / who), "push": not turn.staged,
                    "verb": call.verb, "args": call.args, "options": options, "environment": environment,
                    "second": self.bench.determined.second, "last_id": self.bench.determined.last_id,
                }
            )  # fmt: skip
            (ended,) = self.bench.crew.wait()
            assert ended in (0, signal.SIGKILL), self.bench.crew.reports()
            whole = self.world.copy()
            whole.moments = [self.world.copy()]
            if call.verb == "sync":
                whole.sync(who)
            else:
                whole.call(who, call, staged=turn.staged)
            found = {name: place.state() for name, place in self.places.items()}
            left = next((world for world in reversed(whole.moments) if world.states() == found), None)
            assert left is not None, f"{call}, killed at {count}, left what no step leaves"
            assert ended or left.states() == whole.states()
            self.world = left
            self.count("killed", call.verb, "in the middle" if ended else "never")

    @rule(turn=turns, wish=any_wish, count=st.sampled_from([1, 1, 2]), applied=st.booleans())
    def lose_the_connection(self, turn: Turn, wish: Wish, count: int, applied: bool) -> None:
        """The hub dies at a push, before or after it has the event, and can't be asked."""
        clone = self.world.clones[turn.who]
        hub, away, calls = (self.root / name for name in ("hub", "away", "pushes"))
        hook = write(
            hub / "hooks" / ("post-update" if applied else "pre-receive"),
            f"#!/bin/sh\necho >> '{calls}'; [ $(wc -l < '{calls}') -ne {count} ] || {{ mv '{hub}' '{away}'; kill -9 $PPID; }}\n",
        )
        hook.chmod(0o755)
        clone.breaks = count, applied
        with self.step(turn), self.bench.patch.context() as patch:
            patch.setattr(gitremote, "_TRIES", 1)  # the second and the third would find it no more alive
            self.do(turn.who, self.meant(turn.who, wish))
            clone.breaks = None
            if away.exists():
                away.rename(hub)
            hook.unlink()
            calls.unlink(missing_ok=True)

    @rule(turn=turns, wish=any_wish, theirs=any_wish)
    def be_overtaken(self, turn: Turn, wish: Wish, theirs: Wish) -> None:
        """Another clone publishes what it staged just before this one pushes."""
        other = CLONES[1 - CLONES.index(turn.who)]
        with self.step(turn):
            self.sync(other)
            self.do(other, self.meant(other, theirs), staged=True)
        waiting = sorted(self.world.clones[other].state.pending.values(), key=lambda event: event.order)
        refs = {
            self.places[other].event(name.partition("/")[2], oid).id: name
            for name, oid in self.places[other].refs(PENDING).items()
        }
        pushes = [
            f"git -C '{self.root / other}' push --quiet origin '{PENDING}{refs[event.id]}:{TAGS}{event.source}'"
            for event in waiting
        ]
        with self.step(turn), self.bench.patch.context() as patch:
            for name, value in self.bench.shim("push", 1, f"({ELSEWHERE} {' && '.join(pushes)})").items():
                patch.setenv(name, value)
            clone = self.world.clones[turn.who]
            clone.before_push = lambda: all(self.world.push(event) for event in waiting)
            self.do(turn.who, self.meant(turn.who, replace(wish, model=theirs.model)))
            met = waiting and clone.before_push is None
            clone.before_push = None
            self.count("overtaken", wish.verb, "in the middle" if met else "never")

    # -- rules: GTO ----------------------------------------------------------------------------------------------

    def by_gto(self, who: str, verb: str, model: str, *args: Any, **options: Any) -> None:
        """``gto.api`` writes tags in the clone; they are pushed as people do, and stay there if that is refused."""
        self.model = model
        place = self.places[who]
        before = place.refs(TAGS)
        with suppress(GTOException):
            getattr(gto.api, verb)(self.root / who, model, *args, **options)
        # An assignment registers its commit first, where that is wanted.
        written = sorted(place.refs(TAGS).keys() - before.keys(), key=lambda tag: "@" not in tag)
        outcome = "done" if written else "refused by GTO"
        for tag in written:
            shared = self.world.tag(who, place.date(tag, self.now))
            command = ["git", "-C", self.root / who, "push", "--quiet", "origin", TAGS + tag]
            done = subprocess.run(command, check=False, capture_output=True)
            assert (done.returncode == 0) == shared, done.stderr
            outcome = outcome if shared else "left behind"
        self.count(f"gto {verb}", outcome)

    @rule(turn=turns, wish=gto_wishes)
    def use_gto(self, turn: Turn, wish: Wish) -> None:
        who, model, stage, number = turn.who, wish.model, wish.stage, wish.version
        history = self.world.history(who, model)
        standing = history.standing(stage)
        gone = [name for name, record in history.versions.items() if record.hidden]
        with self.step(turn):
            match wish.verb:
                case "assign":
                    version = self.version(who, model, number, but=stage)
                    self.by_gto(who, "assign", model, stage, version=version, force=number > 9)
                case "assign a commit":
                    self.by_gto(who, "assign", model, stage, ref=self.commit(who, model, number))
                case "register":
                    self.by_gto(who, "register", model, self.commit(who, model, number))
                case "unassign":
                    version = (
                        standing[number % len(standing)] if standing else self.version(who, model, number)
                    )
                    self.by_gto(who, "unassign", model, version=version, stage=stage)
                case "deregister" if gone and number > 5:
                    rev = history.versions[gone[0]].registered.rev
                    self.by_gto(who, "register", model, rev, version=gone[0], simple=False)
                case "deregister":
                    self.by_gto(who, "deregister", model, version=self.version(who, model, number))
                case _:
                    self.by_gto(who, "deprecate", model)

    # -- the end ---------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.sound:
                self.finish()
        finally:
            shutil.rmtree(self.root)

    def finish(self) -> None:
        """Share everything, repair it, and hold it to what all must agree on."""
        ann, bob = (self.registries[name, False] for name in CLONES)
        self.steps += 1
        self.now += 1
        self.sync("ann")
        self.sync("bob")
        self.compare()
        problems = self.repair("ann")
        self.sync("bob")
        self.compare()
        for model in self.world.models:
            expected = said(self.world.history("hub", model))
            for registry in (self.hub, ann, bob, Registry(self.root / "bob")):
                assert said(registry._read(model).history) == expected
        assert self.repair("ann") == problems
        self.compare()
        histories = {model: self.world.history("hub", model) for model in self.world.models}
        assert not [problem for problem in problems if not _EXPECTED.search(problem.what)]
        self.compare_with_gto(histories)

    def compare_with_gto(self, histories: Mapping[str, History]) -> None:
        if any(gto_fails(history) for history in histories.values()):
            self.count("compared with GTO", "no: it fails")
            return
        ann = self.registries["ann", False]
        table = table_of_gto(self.root / "ann")
        everyone = table_of_gto(self.root / "ann", versions_per_stage=-1) if self.bench.stages.shared else {}
        for model, history in histories.items():
            if gto_contradicts_itself(history):
                self.count("compared with GTO", "no: it contradicts itself")
                continue
            theirs, ours = seen_by_gto(self.root / "ann", model, table), seen_by_us(ann, model)
            assert theirs == expected_of_gto(ours, ended_unseen(history, theirs, ours)), model
            for stage in self.bench.stages.shared:
                listed = set(filter(None, (everyone[model]["stage"].get(stage) or "").split(", ")))
                assert listed == set(history.holders(stage))
            self.count("compared with GTO", "yes")


# What only GTO, or two writers who had not seen each other, can have made odd.
_EXPECTED = re.compile(
    "is registered at .* and at|again after it was withdrawn|are registered at one commit|there is no .* to take away|"
    "where no version is registered"
)


def gto_fails(history: History) -> bool:
    """Whether two versions are registered at one commit, or one at two: GTO answers nothing then."""
    at: dict[str, set[str]] = {}
    for event in history.events:
        if isinstance(event, Registered):
            at.setdefault(event.rev, set()).add(event.version)
            at.setdefault(event.version, set()).add(event.rev)
    return any(len(found) > 1 for found in at.values())


def gto_contradicts_itself(history: History) -> bool:
    """Whether GTO's answer depends on what no time says: two tags of one kind within a second, or on a withdrawn version."""
    keys = []
    for event in history.events:
        match event:
            case Assigned() | Unassigned():
                keys.append((event.stage, event.at))
            case Registered() | Deregistered():
                keys.append((event.version, event.at))
                record = history.versions.get(event.version)
                gone = record and record.withdrawn
                if gone and event.order > gone.order and isinstance(event, Registered):
                    return True
    return len(set(keys)) < len(keys)


# -- the tests ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory, where the system has such a place: git flushes every event to disk, which is half of a step there."""
    with ExitStack() as stack:
        for place in (Path("/dev/shm"), tmp_path):
            with suppress(OSError):
                found = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place)))
                write(found / "shim" / "git", SHIM).chmod(0o755)
                # Where nothing may be run, neither may a hook.
                subprocess.run([found / "shim" / "git"], env=os.environ | {"GIT": "true"}, check=True)
                yield found
                return


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 1200)  # red ones are made smaller first
@pytest.mark.parametrize("part", range(PARTS))
def test_any_sequence_leaves_what_is_specified_in_every_clone(
    part: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_DATE", COMMITTED)
    monkeypatch.setenv("GIT_COMMITTER_DATE", COMMITTED)
    determined = Determined()
    determined.install(monkeypatch.setattr)
    # Who was overtaken waits, so as not to meet the others again: they are not there by chance, and gone.
    monkeypatch.setattr(writing, "_WINDOW", 0)
    stages, commits = build(folder, shared=part == PARTS - 1)
    first = SEED or (random.getrandbits(32) if LONG else 0)
    started, worked = time.monotonic(), sum(os.times()[:4])
    with crew(folder / "reports") as workers:
        bench = Bench(folder, stages, commits, workers, determined, monkeypatch)
        machine = seed(int(first) + part)(type("Sequence", (Machine,), {"bench": bench}))
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=EXAMPLES // PARTS, stateful_step_count=STEPS, derandomize=False
                ),
            )
        finally:
            print(
                f"\npart {part}: {bench.runs} sequences of {STEPS}, seed {first}, {time.monotonic() - started:.0f} s, "
                f"of which {sum(os.times()[:4]) - worked:.0f} s at work"
            )
            for what, count in sorted(bench.counts.items()):
                print(f"{count:7} {what}")
