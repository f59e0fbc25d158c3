"""Rows about the log: reading, listing and promoting, beside git itself, GTO and DVC."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import dvc.api
import gto.api

from modelregistry import Registry
from modelregistry.registry import Model
from modelregistry.tables import Rows
from tests.bench.measure import Budget, Row, in_turn, timed
from tests.bench.registries import VERSIONS, copy, git, make_registry, model_name

MODEL = model_name(3)
REFERENCE = f"{MODEL}#current"
_CONTENTS = "--format=%(objectname) %(refname)%0a%(raw)"
_GLOBS = [f"refs/tags/{MODEL}{glob}" for glob in ("@*", "#*", "#*/**")]
_WRITE = ["-c", "core.fsync=committed,loose-object,reference"]


def first_get(
    small: Path, large: Path, loose: Path, *, sizes: tuple[int, int, int], repeats: int
) -> list[Row]:
    """Open a registry and ask who is current, beside git reading the tags of that model."""
    places = (small, large, loose)
    calls = [
        call
        for place in places
        for call in (
            lambda place=place: Registry(place).get(REFERENCE),
            lambda place=place: git(place, "for-each-ref", _CONTENTS, *_GLOBS),
        )
    ]
    medians = in_turn(repeats, *calls)
    kinds = ("packed", "packed", "loose")
    rows = [
        Row(
            f"`Registry(…).get('m#current')`, {size:,} {kind} tags", ours, "git for-each-ref of that model", peer,
            Budget(3) if kind == "packed" else None,
        )
        for size, kind, ours, peer in zip(sizes, kinds, medians[::2], medians[1::2], strict=True)
    ]  # fmt: skip
    flat = Row(f"the same at {sizes[1]:,} tags", medians[2], f"at {sizes[0]:,} tags", medians[0], Budget(1.5))
    return [*rows, flat]


def next_get(place: Path, tags: int) -> list[Row]:
    """Ask again while nothing changed; and right after another process wrote."""
    registry = Registry(place)
    until = _settled(place)
    while time.time() < until:
        time.sleep(0.01)
    registry.get(REFERENCE)
    calls = 1000

    def ask() -> None:
        for _ in range(calls):
            registry.get(REFERENCE)

    (many,) = in_turn(7, ask)
    late = _answers_after_other_writer(place)
    assert not late, f"{late} of 20 answers right after another process wrote were old"
    return [
        Row(f"`get` again, nothing changed, {tags:,} tags", many / calls, budget=Budget(50e-6, "seconds"))
    ]


def _settled(place: Path) -> float:
    """When a reader may rely on time stamps: well after the last change of what it looks at."""
    watched = [place / ".git" / name for name in ("HEAD", "packed-refs", "refs/heads/main", "refs/tags")]
    return max(path.stat().st_mtime for path in watched if path.exists()) + 0.1


def _answers_after_other_writer(place: Path) -> int:
    """How many of 20 answers are old, each asked for right after plain git promoted another version."""
    twin = copy(place, f"{place.name}-written")
    reader, old = Registry(twin), 0
    for turn in range(20):
        wanted = VERSIONS[turn % 2]
        reader.get(REFERENCE)
        number = int(Registry(twin).history(MODEL)[-1].source.rpartition("#")[2]) + 1
        name = f"{MODEL}#current#{number}"
        rev = reader.get(MODEL, version=wanted).rev
        when = f"{int(time.time()) + turn} +0000"
        text = (
            f"object {rev}\ntype commit\ntag {name}\ntagger Ann Author <ann@example.com> {when}\n\nby GTO\n"
        )
        _write(twin, {f"refs/tags/{name}": text.encode()})
        old += reader.get(REFERENCE).version != wanted
    return old


def listing(folder: Path, tags: int, *, repeats: int) -> list[Row]:
    """All models with their holders."""
    plain = make_registry(folder / "listed", tags)
    declared = make_registry(folder / "declared", tags, declared=tags // 20)

    def ours(place: Path, kind: str | None) -> Rows[Model]:
        return Registry(place).models(type=kind)

    def peer(place: Path) -> bytes:
        return git(place, "for-each-ref", _CONTENTS, "refs/tags")

    assert len(ours(plain, None)) == tags // 20
    medians = in_turn(
        repeats,
        lambda: ours(plain, None),
        lambda: peer(plain),
        lambda: ours(declared, "model"),
        lambda: peer(declared),
    )
    what, against = f"{tags // 20:,} models, {tags:,} tags", "git for-each-ref of all tags"
    return [
        Row(f"`models(type=None)`: {what}", medians[0], against, medians[1], Budget(2)),
        Row(f"`models()`, all declared in `dvc.yaml`: {what}", medians[2], against, medians[3]),
    ]


def promoting(place: Path, tags: int, *, repeats: int) -> list[Row]:
    """Promote, beside plain git writing the very same tag objects and references into a twin of the repository."""
    place, twin = copy(place, f"{place.name}-promoted"), copy(place, f"{place.name}-twin")
    kept, stages = Registry(place), ("current", "shadow")
    times: dict[str, list[tuple[float, float]]] = {"kept": [], "fresh": [], "moves": []}
    for turn in range(repeats + 1):
        for kind, pairs in times.items():
            version = VERSIONS[(turn + len(kind)) % len(VERSIONS)]
            if kind == "moves":  # from the stage it holds to the other one: an assignment and an echo for GTO
                _also(kept, place, twin, version, stages[1])
            elif kept.get(REFERENCE).version == version:
                version = VERSIONS[(turn + len(kind) + 1) % len(VERSIONS)]
            before = _tags(place)
            registry = kept if kind != "fresh" else None
            ours = timed(
                lambda registry=registry, version=version: (registry or Registry(place)).promote(
                    MODEL, version, stages[0], message="Better on the held-out quarter."
                )
            )
            written = {name: text for name, text in _tags(place).items() if name not in before}
            assert len(written) == (2 if kind == "moves" else 1), (kind, list(written))
            peer = timed(lambda written=written: _write(twin, written))
            pairs.append((ours, peer))
    words = {
        "kept": "`promote`",
        "fresh": "`Registry(…).promote`",
        "moves": "`promote` from another stage (2 tags)",
    }
    rows = []
    for kind, pairs in times.items():
        mine, theirs = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
        budget = Budget(4) if kind == "kept" else None
        rows.append(Row(f"{words[kind]}, {tags:,} tags", mine, "git mktag, git update-ref", theirs, budget))
    return rows


def _also(registry: Registry, place: Path, twin: Path, version: str, stage: str) -> None:
    """Promote in both repositories, unmeasured."""
    before = _tags(place)
    registry.promote(MODEL, version, stage)
    _write(twin, {name: text for name, text in _tags(place).items() if name not in before})


def _tags(place: Path) -> dict[str, bytes]:
    """The tag objects of the model by reference."""
    names = git(place, "for-each-ref", "--format=%(refname)", *_GLOBS).decode().split()
    texts = git(place, "for-each-ref", "--format=%(raw)%00", *_GLOBS).split(b"\0\n")
    return dict(zip(names, texts, strict=False))


def _write(place: Path, tags: dict[str, bytes]) -> None:
    """What plain git needs to keep the tags, as safe from a power cut as ours."""
    for name, text in tags.items():
        oid = git(place, *_WRITE, "mktag", stdin=text).decode().strip()
        git(place, *_WRITE, "update-ref", "--stdin", stdin=f"create {name} {oid}\n".encode())


def others(place: Path, tags: int, *, repeats: int) -> list[Row]:
    """The same question to GTO and DVC."""
    folder = os.fspath(place)
    version = Registry(place).get(REFERENCE).version
    assert [found.version for found in gto.api.find_versions_in_stage(folder, MODEL, "current")] == [version]
    medians = in_turn(
        repeats,
        lambda: Registry(place).get(REFERENCE),
        lambda: gto.api.show(folder, REFERENCE),
        lambda: gto.api.find_versions_in_stage(folder, MODEL, "current"),
        lambda: dvc.api.artifacts_show(MODEL, stage="current", repo=folder),
    )
    peers = ("gto.api.show", "gto.api.find_versions_in_stage", "dvc.api.artifacts_show")
    what = f"`Registry(…).get('m#current')`, {tags:,} tags"
    return [Row(what, medians[0], name, peer) for name, peer in zip(peers, medians[1:], strict=True)]
