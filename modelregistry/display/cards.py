"""What is shown of one version of a model, and of a whole registry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

from modelregistry.display.view import Badge, Block, Code, Facts, Listing, Note, Size, Table, View
from modelregistry.display.words import count, held_by, state

MOST_MODELS = 20
"""Of a registry that are shown."""
_MOST_VALUES = 8
_TOLD_ELSEWHERE = ("signature", "environment", "metrics", "card", "evaluation", "evaluated", "usage")
"""Entries of metadata that are blocks of their own, and long."""
_WITHDRAWN = "withdrawn"


def version_card(
    reference: str,
    states: Iterable[str],
    *,
    deprecated: bool,
    dry_run: bool,
    message: str,
    author: str,
    created_at: datetime,
    rev: str,
    digest: str | None,
    size: int | None,
    metrics: Mapping[str, object],
    metadata: Mapping[str, object],
) -> View:
    """A version in a few lines: what it is, who made it, how good it is, and how to load it.

    Args:
        reference: The version, as ``name@version``.
        states: The stages it holds; else its state.
        deprecated: Whether the model is.
        dry_run: Whether the version is not there.
        message: Why it was registered.
        author: Who did.
        created_at: When.
        rev: At which commit.
        digest: Of its bytes.
        size: Of them.
        metrics: What is known of its figures.
        metadata: What was said of it.
    """
    marks = {"deprecated": deprecated, "dry run": dry_run}
    badges = [*map(state, states), *(Badge(word, "warn") for word, holds in marks.items() if holds)]
    said = {key: value for key, value in metadata.items() if key not in _TOLD_ELSEWHERE}
    facts = Facts(
        [
            ("registered", created_at),
            ("by", author or None),
            ("digest", Code(digest) if digest is not None else None),
            ("size", Size(size) if size is not None else None),
            ("commit", Code(rev[:10]) if rev else None),
            ("metrics", _first(metrics)),
            ("metadata", _first(said)),
        ]
    )
    why = [Note(message)] if message else []
    return View(
        reference.replace("@", " ", 1),
        badges,
        [*why, facts, _how_to_load(reference, {badge.text for badge in badges})],
    )


def _how_to_load(reference: str, marks: Collection[str]) -> Block:
    if "dry run" in marks:
        return Note("It is not there: the call would make it.", "warn")
    if _WITHDRAWN in marks:
        return Note("It was withdrawn, and is never served again.", "bad")
    return Listing("Load it", f"mr.load_model({_python(reference)})")


def _python(text: str) -> str:
    """A text as Python reads it, in double quotes where that is the same."""
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written


def _first(values: Mapping[str, object]) -> Mapping[str, object] | None:
    """The first of many values, and how many more there are."""
    shown = dict(islice(values.items(), _MOST_VALUES))
    more = len(values) - len(shown)
    return {**shown, "…": f"and {more:,} more"} if more > 0 else shown or None


def registry_card(
    place: str,
    models: Sequence[tuple[str, str | None, Mapping[str, tuple[str, ...]], bool]],
    *,
    total: int | None,
    facts: Iterable[tuple[str, object]] = (),
    note: str = "",
) -> View:
    """A registry: where it is, and its first models with the holders of their stages.

    Args:
        place: Its address, without secrets.
        models: The first ones: their names, latest versions, stages with their holders, and whether they are deprecated.
        total: How many there are; None where nobody looked.
        facts: What else is known of it.
        note: What is to be said of it.
    """
    lines: list[tuple[str, object]] = [("at", Code(place)), *facts]
    if total is not None:
        lines.append(("models", f"{total:,}"))
    blocks: list[Block] = [Facts(lines), *([Note(note, "warn")] if note else [])]
    if models and total is not None:
        rows = [
            (name, latest, (*_held(stages), *([Badge("deprecated", "warn")] if deprecated else [])))
            for name, latest, stages, deprecated in models
        ]
        more = total - len(models)
        left_out = [f"… and {count(more, 'more model')}: models() lists all"] if more > 0 else []
        blocks.append(Table(("model", "latest", "stages"), rows, left_out))
    return View("Model registry", blocks=blocks)


def _held(stages: Mapping[str, tuple[str, ...]]) -> tuple[Badge, ...]:
    return tuple(held_by(stage, held) for stage, held in stages.items())
