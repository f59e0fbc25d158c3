"""Random histories, written by a mix of GTO and us, read by both.

Tags of GTO are written by ``git fast-import`` with the bytes that GTO writes, which a test compares with real ones;
tags of ours are what the rules of writing decide and the codec renders. Every history is made of its seed alone.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import gto.api
import pytest

from modelregistry import EMPTY, Registry
from modelregistry.errors import RegistryError
from modelregistry.log import changes
from modelregistry.log.changes import Change, Writer
from modelregistry.log.events import Bytes, Event
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import RawTag, first_number, parse, render, tag_prefix
from modelregistry.names import FIRST_VERSION, bumped, version_key
from tests.compat.views import (
    START,
    GtoWriter,
    commits_with,
    ended_unseen,
    expected_of_gto,
    git,
    gto_words,
    new_repository,
    seen_by_gto,
    seen_by_us,
    table_of_gto,
    tag_command,
    tags,
)

HISTORIES = 200
BATCH = 10
COMMITS = 12
MODELS = ("m", "team/churn", "nlp:intent")
STAGES = ("shadow", "current", "eu/live")
OUR_STAGES = Stages(STAGES, frozenset(), written_down=True)
SHARED = Stages(STAGES, frozenset({"shadow"}), written_down=True)
AUTHOR = "Ann Author"
EMAIL = "ann@example.com"


@dataclass
class Pen:
    """Writes one random history of one model into memory: tags by name, and the log as it is so far."""

    rng: random.Random
    model: str
    revs: list[str]
    stages: Stages
    texts: list[tuple[str, str, int, str]] = field(default_factory=list)
    """Name, commit, second and message of each tag."""
    events: list[Event] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    counter: int = 0
    story: list[str] = field(default_factory=list)

    # -- both ----------------------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        return History(self.model, self.events, self.stages)

    def put(self, name: str, rev: str, second: int, text: str) -> None:
        assert name not in self.names
        body = f"object {rev}\ntype commit\ntag {name}\ntagger {AUTHOR} <{EMAIL}> {second} +0000\n\n{text}"
        # The object id that Git will give it: a rollback names GTO's assignments by it.
        oid = hashlib.sha1(b"tag %d\0" % len(body.encode()) + body.encode()).hexdigest()
        event = parse(RawTag(name, oid, "tag", body.encode()))
        assert isinstance(event, Event), event
        self.names.add(name)
        self.texts.append((name, rev, second, text))
        self.events.append(event)
        self.story.append(
            f"{second - START:>6} {name} at {self.revs.index(rev) if rev in self.revs else rev[:7]}"
        )

    def free_revs(self) -> list[str]:
        """Commits where no version of the model is: GTO knows one version of a model on a commit."""
        return [rev for rev in self.revs if not self.history.versions_at(rev)]

    # -- GTO -----------------------------------------------------------------------------------------------

    def by_gto(self, second: int) -> bool:
        """One event as ``gto`` writes it; False where the drawn one can't be."""
        history, rng = self.history, self.rng
        known = sorted(history.versions, key=version_key)
        hidden = [version for version in known if history.versions[version].hidden]
        served = [version for version in known if history.versions[version].served]
        verb = rng.choices(
            ("register", "assign", "unassign", "deregister", "again", "bare", "deprecate"),
            (5, 6, 3, 2, 2, 1, 1),
        )[0]
        counted = rng.random() < 0.4
        if verb == "register" and self.free_revs():
            version = self.new_version(known)
            words = gto_words("register", self.model, version)
            return self.gto_tag(f"@{version}", rng.choice(self.free_revs()), second, words, counted=counted)
        if verb == "assign" and known:
            version, stage = rng.choice(known), rng.choice(STAGES)
            words = gto_words("assign", self.model, version, stage)
            rev = history.versions[version].registered.rev
            return self.gto_tag(f"#{stage}", rev, second, words, counted=rng.random() < 0.9)
        if verb == "unassign" and known:
            version, stage = rng.choice(known), rng.choice(STAGES)
            if (holders := history.holders(stage)) and rng.random() < 0.7:
                version = holders[0]
            words = gto_words("unassign", self.model, version, stage)
            rev = history.versions[version].registered.rev
            return self.gto_tag(f"#{stage}!", rev, second, words, counted=rng.random() < 0.9)
        if verb == "deregister" and served:
            version = rng.choice(served)
            words = gto_words("deregister", self.model, version)
            rev = history.versions[version].registered.rev
            return self.gto_tag(f"@{version}!", rev, second, words, counted=counted)
        # A withdrawn version is left out: that GTO serves it again is the matter of a test of its own.
        again = [version for version in hidden if history.versions[version].withdrawn is None]
        if verb == "again" and again:
            version = rng.choice(again)
            words = gto_words("register", self.model, version)
            return self.gto_tag(
                f"@{version}", history.versions[version].registered.rev, second, words, counted=True
            )
        if verb == "bare" and self.free_revs():
            stage = rng.choice(STAGES)
            rev = rng.choice(self.free_revs())
            return self.gto_tag(
                f"#{stage}", rev, second, gto_words("assign", self.model, rev, stage), counted=True
            )
        if verb == "deprecate" and known and rng.random() < 0.5:
            return self.gto_tag(
                "@deprecated",
                history.events[-1].rev,
                second,
                gto_words("deprecate", self.model),
                counted=counted,
            )
        return False

    def gto_tag(self, form: str, rev: str, second: int, words: str, *, counted: bool) -> bool:
        name = tag_prefix(self.model) + form
        if counted or name in self.names:
            if not counted and form.startswith("@v"):
                return False
            numbers = [int(match[1]) for tag in self.names if (match := re.search(r"#(\d+)$", tag))]
            name = f"{name}#{max([0, *numbers]) + 1}"
        self.put(name, rev, second, words)
        return True

    def new_version(self, known: list[str]) -> str:
        """Mostly a bump; now and then a smaller one or a pre-release. No two differ in build metadata alone."""
        rng = self.rng
        version = bumped(known[-1], rng.choice(("patch", "minor", "major"))) if known else FIRST_VERSION
        if rng.random() < 0.25:
            version = f"v{rng.randrange(3)}.{rng.randrange(20)}.{rng.randrange(100, 1000)}"
        if rng.random() < 0.25:
            version += rng.choice(("-rc.2", "-rc.11", "-alpha.beta", "+build.5", "-1"))
        plain = {other.partition("+")[0] for other in known}
        return version if version.partition("+")[0] not in plain else bumped(known[-1], "major")

    # -- us ------------------------------------------------------------------------------------------------

    def by_us(self, second: int, verb: str | None = None) -> bool:
        """One change as ``Registry`` writes it, with its echoes; False where the rules refuse it."""
        try:
            change = self.decide(second, verb)
        except RegistryError:
            return False
        for event in change.events:
            _, _, text = render(event).decode().partition("\n\n")
            self.put(event.source, event.rev, int(event.at.timestamp()), text)
        return bool(change.events)

    def decide(self, second: int, verb: str | None) -> Change:
        history, rng = self.history, self.rng
        known = sorted(history.versions, key=version_key)
        version = rng.choice(known) if known else FIRST_VERSION
        stage = rng.choice(STAGES)
        writer = Writer(
            AUTHOR, EMAIL, datetime.fromtimestamp(second, UTC), "r" * 32, self.next_number,
            message=rng.choice(("", "because")), new_id=lambda: f"{rng.getrandbits(128):032x}",
        )  # fmt: skip
        verb = (
            verb
            or rng.choices(
                ("register", "promote", "rollback", "demote", "withdraw", "annotate", "deprecate"),
                (5, 9, 6, 3, 3, 2, 1),
            )[0]
        )
        match verb:
            case "register":
                free = self.free_revs()
                if not free:
                    return Change()
                content = Bytes(f"sha256:{rng.getrandbits(256):064x}", f"md5:{rng.getrandbits(128):032x}", 7)
                bump = rng.choice(("patch", "minor", "major"))
                return changes.register(history, writer, rev=rng.choice(free), content=content, bump=bump)
            case "promote":
                return changes.promote(history, writer, version, stage, keep=rng.random() < 0.3)
            case "rollback":
                return changes.rollback(history, writer, stage)
            case "demote":
                holders = history.holders(stage)
                return changes.demote(
                    history, writer, stage, version=rng.choice(holders) if holders else None
                )
            case "withdraw":
                return changes.withdraw(
                    history, writer, version, then=rng.choice((EMPTY, rng.choice([version, *known])))
                )
            case "annotate":
                return changes.annotate(history, writer, {"n": second}, version=rng.choice((None, version)))
            case _:
                return changes.deprecate(history, writer)

    def next_number(self, slot: str) -> int:
        numbers = [event.number for event in self.events if event.slot == slot]
        return max(numbers) + 1 if numbers else first_number(slot)


def random_history(seed: int, revs: list[str], stages: Stages, *, only_gto: bool = False) -> list[Pen]:
    """Fifteen to thirty events of up to three models, each later than everything before."""
    rng = random.Random(seed)
    pens = [Pen(rng, model, revs, stages) for model in MODELS[: rng.choice((1, 1, 2, 3))]]
    share_of_gto = 1.0 if only_gto else rng.choice((0.0, 0.3, 0.5, 0.7, 1.0))
    clock = START
    events, tries = rng.randint(15, 30), 0
    while sum(len(pen.texts) for pen in pens) < events and tries < 200:
        tries += 1
        pen = rng.choice(pens)
        clock += rng.choice((1, 2, 60, 86_400))
        written = pen.by_gto(clock) if rng.random() < share_of_gto else pen.by_us(clock)
        if written:
            clock = max(clock, pen.texts[-1][2])
    if share_of_gto < 1 and rng.random() < 0.3:
        # What only the end of a log can show: an annotation does not end a deprecation.
        pens[0].by_us(clock + 1, "deprecate")
        pens[0].by_us(clock + 2, "annotate")
    return [pen for pen in pens if pen.texts]


# -- reading ---------------------------------------------------------------------------------------------------


@pytest.fixture
def worlds(tmp_path: Path) -> dict[bool, tuple[Path, list[str]]]:
    """One repository for each set of stages, its commits, and no tags; some histories come and go in it."""
    found = {}
    for shared in (False, True):
        exclusive = "shadow = {exclusive = false}" if shared else "shadow = {}"
        settings = {
            ".modelregistry.toml": f"[stages]\n{exclusive}\ncurrent = {{}}\n'eu/live' = {{}}\n",
            ".gto": f"stages: [{', '.join(STAGES)}]\n",  # which spares GTO a second reading of all tags
        }
        root = new_repository(tmp_path / f"shared-{shared}", commits_with(COMMITS, [settings]))
        found[shared] = (root, git(root, "rev-list", "--reverse", "main").split())
    return found


def replace_tags(root: Path, pens: list[Pen]) -> None:
    """The repository has these tags and no others."""
    old = "".join(f"delete refs/tags/{name}\n" for name in tags(root))
    git(root, "update-ref", "--stdin", stdin=old.encode())
    new = "".join(tag_command(*text) for pen in pens for text in pen.texts)
    git(root, "fast-import", "--quiet", "--force", stdin=new.encode())


def compare(root: Path, registry: Registry, pens: list[Pen], *, shared: bool) -> Iterator[str]:
    """Where GTO and we differ, other than documented."""
    table = table_of_gto(root)
    everyone = table_of_gto(root, versions_per_stage=-1) if shared else {}
    problems = registry.check()
    for pen in pens:
        ours, theirs = seen_by_us(registry, pen.model), seen_by_gto(root, pen.model, table)
        unseen = ended_unseen(pen.history, theirs, ours)
        if theirs != expected_of_gto(ours, unseen):
            yield f"{pen.model}: GTO says {theirs}\nwe say {ours}\n" + "\n".join(pen.story)
        releases = [version for version in ours.versions if "-" not in version.partition("+")[0]]
        if ours.latest != max(releases or ours.versions, key=version_key, default=None):
            yield f"{pen.model}: latest is {ours.latest} of {sorted(ours.versions)}"
        told = [problem.what for problem in problems if problem.model == pen.model]
        for stage, version in unseen.items():
            if not any(
                what.startswith(f"GTO still counts {version} as a holder of {stage!r}") for what in told
            ):
                yield f"{pen.model}: check() does not tell that GTO still counts {version} in {stage}"
        if shared and not unseen:
            listed = set(filter(None, (everyone[pen.model]["stage"].get("shadow") or "").split(", ")))
            holders = {version.version for version in registry.versions(pen.model, stage="shadow")}
            if listed != holders:
                yield f"{pen.model}: GTO lists {listed} in shadow, we {holders}\n" + "\n".join(pen.story)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, HISTORIES, BATCH))
def test_gto_and_we_read_random_histories_alike(
    worlds: dict[bool, tuple[Path, list[str]]], first: int
) -> None:
    for seed in range(first, first + BATCH):
        shared = seed % 4 == 3
        root, revs = worlds[shared]
        pens = random_history(seed, revs, SHARED if shared else OUR_STAGES)
        replace_tags(root, pens)
        different = list(compare(root, Registry(root), pens, shared=shared))
        assert not different, f"seed {seed}:\n" + "\n".join(different)


# -- real calls ------------------------------------------------------------------------------------------------


def call_gto(root: Path, pen: Pen, name: str, rev: str, words: str) -> None:
    """The call of ``gto.api`` that writes such a tag."""
    form = name.removeprefix(tag_prefix(pen.model))
    subject, _, number = form[1:].partition("#")
    simple = not number
    target = subject.removesuffix("!")
    if form.startswith("@deprecated"):
        gto.api.deprecate(root, pen.model, ref=rev, simple=simple, force=not simple)
    elif form.startswith("@") and subject.endswith("!"):
        gto.api.deregister(root, pen.model, version=target, simple=simple)
    elif form.startswith("@"):
        gto.api.register(root, pen.model, rev, version=target, simple=simple)
    elif subject.endswith("!"):
        version = words.rpartition("version ")[2].strip("'")
        gto.api.unassign(root, pen.model, version=version, stage=target, simple=simple, force=True)
    else:
        gto.api.assign(root, pen.model, target, ref=rev, simple=simple, force=True, skip_registration=True)


def tag_objects(root: Path) -> dict[str, tuple[str, str]]:
    """Every tag: its object without the time, and its type."""
    found = {}
    for name in tags(root):
        done = subprocess.run(
            ["git", "-C", root, "cat-file", "tag", f"refs/tags/{name}"], capture_output=True, check=True
        )
        found[name] = (
            re.sub(rb"> \d+ [+-]\d{4}\n\n", b"> TIME\n\n", done.stdout),
            git(root, "cat-file", "-t", f"refs/tags/{name}"),
        )
    return found


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_tags_that_gto_itself_writes_are_those_byte_for_byte(
    worlds: dict[bool, tuple[Path, list[str]]], seed: int
) -> None:
    root, revs = worlds[False]
    pens = random_history(seed, revs, OUR_STAGES, only_gto=True)
    replace_tags(root, pens)
    written_by_import = tag_objects(root)
    replace_tags(root, [])
    for pen in pens:
        writes = GtoWriter(root)
        for name, rev, second, words in pen.texts:
            call_gto(root, pen, name, rev, words)
            writes.date(name, second)  # as in the history: GTO goes by the times, and dates by the wall clock
    assert tag_objects(root) == written_by_import, f"seed {seed}"
    assert not list(compare(root, Registry(root), pens, shared=False))
