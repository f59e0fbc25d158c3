"""Rows about the log: reading, listing and promoting, beside git itself, GTO and DVC."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from functools import partial
from pathlib import Path

import dvc.api
import gto.api

from modelregistry import Registry
from modelregistry.config import cache_folder
from tests.bench.measure import Row, in_turn, timed
from tests.bench.registries import VERSIONS, copy, git, make_registry, model_name

MODEL = model_name(3)
REFERENCE = f"{MODEL}#current"
_LIST = ("for-each-ref", "--format=%(objectname) %(refname)%0a%(raw)")
_GLOBS = [f"refs/tags/{MODEL}{glob}" for glob in ("@*", "#*", "#*/**")]
_WRITE = ("-c", "core.fsync=committed,loose-object,reference")


def _first_get(place: Path) -> str:
    return Registry(place).get(REFERENCE).version


def first_get(places: dict[str, Path], *, repeats: int) -> list[Row]:
    """Open a registry and ask who is current, beside git reading the tags of that model."""
    calls = [
        call
        for at in places.values()
        for call in (partial(_first_get, at), partial(git, at, *_LIST, *_GLOBS))
    ]
    medians = in_turn(repeats, *calls)
    peer = "git for-each-ref of that model"
    rows = [
        Row(f"`Registry(…).get('m#current')`, {what}", ours, peer, theirs, 3 if "packed" in what else None)
        for what, ours, theirs in zip(places, medians[::2], medians[1::2], strict=True)
    ]
    small, large = list(places)[:2]
    return [*rows, Row(f"the same, {large}", rows[1].ours, f"the same, {small}", rows[0].ours, 1.5)]


def next_get(place: Path, tags: int) -> list[Row]:
    """Ask again while nothing changed; and right after another process wrote."""
    registry = Registry(place)
    watched = [place / ".git" / name for name in ("HEAD", "packed-refs", "refs/heads", "refs/tags")]
    changed = max(path.stat().st_mtime for path in watched if path.exists())
    while time.time() < changed + 0.1:  # a reader can't tell a change from one in the same tick of the clock
        time.sleep(0.01)
    registry.get(REFERENCE)
    calls = 1000
    (many,) = in_turn(7, lambda: [registry.get(REFERENCE) for _ in range(calls)])
    _check_that_writes_are_seen(copy(place, f"{place.name}-written"))
    return [Row(f"`get` again, nothing changed, {tags:,} tags", many / calls, most=50e-6)]


def _check_that_writes_are_seen(place: Path) -> None:
    """Each answer right after plain git promoted another version is that version."""
    reader = Registry(place)
    for turn in range(20):
        wanted = VERSIONS[turn % 2]
        name, rev = f"{MODEL}#current#{100 + turn}", reader.get(MODEL, version=wanted).rev
        who = f"Ann Author <ann@example.com> {int(time.time()) + turn} +0000"
        text = f"object {rev}\ntype commit\ntag {name}\ntagger {who}\n\nAs GTO writes it\n"
        reader.get(REFERENCE)
        _write(place, {f"refs/tags/{name}": text.encode()})
        found = reader.get(REFERENCE).version
        assert found == wanted, f"{found} is old: another process has promoted {wanted}"


def listing(folder: Path, tags: int, *, repeats: int) -> list[Row]:
    """All models with their holders."""
    models = tags // 20
    plain = make_registry(folder / "listed", tags)
    declared = make_registry(folder / "declared", tags, declared=models)
    assert len(Registry(plain).models(type=None)) == models

    def forgotten() -> None:
        shutil.rmtree(cache_folder() / "summaries")
        Registry(plain).models(type=None)

    what, peer = f"{models:,} models, {tags:,} tags", "git for-each-ref of all tags"
    first, peer_first = in_turn(repeats, forgotten, lambda: git(plain, *_LIST, "refs/tags"))
    again, peer_again = in_turn(
        repeats, lambda: Registry(plain).models(type=None), lambda: git(plain, *_LIST, "refs/tags")
    )
    known, peer_known = in_turn(
        repeats, lambda: Registry(declared).models(), lambda: git(declared, *_LIST, "refs/tags")
    )
    budget = 2 if tags >= 10_000 else None  # of fewer tags, opening a registry is most of it
    return [
        Row(f"`models(type=None)`: {what}", again, peer, peer_again, 2),
        Row(f"the same, the first time this user lists them: {what}", first, peer, peer_first, budget),
        Row(f"`models()`, all declared in `dvc.yaml`: {what}", known, peer, peer_known),
    ]


def promoting(place: Path, tags: int, *, repeats: int) -> list[Row]:
    """Promote, beside plain git that writes the very same tag and reference into a twin of the repository."""
    place, twin = copy(place, f"{place.name}-promoted"), copy(place, f"{place.name}-twin")
    kept, times = Registry(place), []
    before = _tags(place)
    for turn in range(2 * repeats + 2):
        call = (
            kept.promote
            if turn % 2
            else lambda *names, message: Registry(place).promote(*names, message=message)
        )
        ours = timed(
            partial(call, MODEL, VERSIONS[turn % 3], "current", message="Better on the held-out quarter.")
        )
        now = _tags(place)
        written = {name: text for name, text in now.items() if name not in before}
        assert len(written) == 1
        before = now
        times.append((ours, timed(partial(_write, twin, written))))
    rows = []
    for what, first, budget in (("promote", 1, 4), ("Registry(…).promote", 0, None)):
        mine, theirs = (statistics.median(column) for column in zip(*times[2 + first :: 2], strict=True))
        rows.append(Row(f"`{what}`, {tags:,} tags", mine, "git mktag, git update-ref", theirs, budget))
    return rows


def sharing(place: Path, tags: int, *, repeats: int) -> list[Row]:
    """Promote in a clone with a hub, beside plain git that fetches, makes the very same tag and pushes it to a twin."""
    sides = []
    for side in ("ours", "theirs"):
        hub = place.parent / f"{place.name}-{side}.git"
        git(place.parent, "clone", "--quiet", "--bare", os.fspath(place), os.fspath(hub))
        clone = hub.with_suffix("")
        git(place.parent, "clone", "--quiet", os.fspath(hub), os.fspath(clone))
        sides.append((hub, clone))
    (_, mine), (hub, theirs) = sides
    registry, times = Registry(mine), []
    before = _tags(mine)
    for turn in range(repeats + 1):
        ours = timed(partial(registry.promote, MODEL, VERSIONS[turn % 3], "current", message="Better."))
        now = _tags(mine)
        written = {name: text for name, text in now.items() if name not in before}
        before = now
        times.append((ours, timed(partial(_share, theirs, hub, written))))
    ours, peer = (statistics.median(column) for column in zip(*times[1:], strict=True))
    peer_is = "git fetch, mktag, push, update-ref"
    return [Row(f"`promote` with its push, {tags:,} tags", ours, peer_is, peer, 1.3)]


def grown(few: Row, many: Row, many_are: str, few_are: str) -> Row:
    """What it costs with many tags beside what it costs with few: that, times what git's own cost grew, where it did."""
    assert few.peer and many.peer
    growth = many.peer / few.peer
    peer, allowed = f"the same, {few_are}", few.ours
    if growth > 1.5:
        peer, allowed = f"{peer}, times the {growth:.3g} that git's own grew", few.ours * growth
    return Row(f"the same, {many_are}", many.ours, peer, allowed, 1.5)


def _share(clone: Path, hub: Path, tags: dict[str, bytes]) -> None:
    """What plain git needs to write the tags where others see them."""
    specs = [f"refs/tags/{MODEL}{glob}:refs/tags/{MODEL}{glob}" for glob in ("@*", "#*")]
    git(clone, *_WRITE, "fetch", "--no-tags", "--no-write-fetch-head", os.fspath(hub), *specs)
    for name, text in tags.items():
        oid = git(clone, *_WRITE, "mktag", stdin=text).decode().strip()
        git(clone, *_WRITE, "push", "--porcelain", os.fspath(hub), f"{oid}:{name}")
        git(clone, *_WRITE, "update-ref", "--stdin", stdin=f"create {name} {oid}\n".encode())


def _tags(place: Path) -> dict[str, bytes]:
    """The tag objects of the model, by reference."""
    names = git(place, "for-each-ref", "--format=%(refname)", *_GLOBS).decode().split()
    return dict(
        zip(names, git(place, "for-each-ref", "--format=%(raw)%00", *_GLOBS).split(b"\0\n"), strict=False)
    )


def _write(place: Path, tags: dict[str, bytes]) -> None:
    """What plain git needs to keep the tags, as safe from a power cut as ours."""
    for name, text in tags.items():
        oid = git(place, *_WRITE, "mktag", stdin=text).decode().strip()
        git(place, *_WRITE, "update-ref", "--stdin", stdin=f"create {name} {oid}\n".encode())


def others(place: Path, tags: int, *, repeats: int) -> list[Row]:
    """The same question to GTO and DVC."""
    folder = os.fspath(place)
    assert gto.api.find_versions_in_stage(folder, MODEL, "current")[0].version == _first_get(place)
    ours, *peers = in_turn(
        repeats,
        lambda: _first_get(place),
        lambda: gto.api.show(folder, REFERENCE),
        lambda: gto.api.find_versions_in_stage(folder, MODEL, "current"),
        lambda: dvc.api.artifacts_show(MODEL, stage="current", repo=folder),
    )
    names = ("gto.api.show", "gto.api.find_versions_in_stage", "dvc.api.artifacts_show")
    what = f"`Registry(…).get('m#current')`, {tags:,} tags"
    return [Row(what, ours, name, peer) for name, peer in zip(names, peers, strict=True)]
