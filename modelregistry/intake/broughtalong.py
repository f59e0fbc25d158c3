"""What an imported version brings along of what its source says of it: words about the model, and none about its team."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from modelregistry.cards.text import CardText
from modelregistry.metadata.evaluation import evaluation_in
from modelregistry.metadata.licenses import KEYS
from modelregistry.metadata.usage import usage_in
from modelregistry.version import ModelVersion, metrics_of

WORDS = ("description", "environment", "evaluated", *KEYS, "loader", "signature")
"""Entries of a version's metadata that are as true here as there, and are taken over as they are."""
_OWN = frozenset({"origin", "uncommitted"})
"""Entries that a registration makes of itself, and that are no loss."""
_MOST = 16 << 10
"""Bytes of JSON that one entry may take: a registration has 64 KiB in all."""
_MOST_IN_ALL = 32 << 10
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class BroughtAlong:
    """The entries that come, and the names of those that do not."""

    metadata: Mapping[str, JsonValue]
    left: tuple[str, ...] = ()
    """Entries of the version's own metadata that stay where they are; of what is many, the first."""


def brought_along(
    version: ModelVersion | None,
    *,
    model: Mapping[str, JsonValue],
    card: CardText,
    measured: Mapping[str, JsonValue],
) -> BroughtAlong:
    """What comes along with a version.

    The entries of ``WORDS``; ``card``, ``usage``, ``evaluation`` and ``metrics``, as the source's own card of it has
    them, wherever they were said. Not the command of ``evaluation``, which is for that project's files; nor the example of
    ``usage``, which is one of them, and is brought as a file of its own. Stages, trust, policies and settings are no
    metadata, and stay as well. Of what is too much for a registration, the largest entries stay.

    Args:
        version: The version; None for what is no version there.
        model: What is said there of the model as a whole.
        card: What is said there for its card.
        measured: What its pipeline recorded.
    """
    said = version.metadata if version is not None else {}
    found: dict[str, JsonValue] = {word: said[word] for word in WORDS if word in said}
    text = card.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if _size(text) > _MOST:  # the rest of it is worth having
        text.pop("text", None)
    usage = usage_in(said) or usage_in(model)
    evaluation = evaluation_in(said) or evaluation_in(model)
    found |= {
        "card": text,
        "usage": usage.model_dump(mode="json", include={"text"}, exclude_none=True) if usage else {},
        "evaluation": evaluation.model_dump(
            mode="json", exclude={"command"}, exclude_none=True, exclude_defaults=True
        )
        if evaluation
        else {},
        "metrics": dict(metrics_of(version, measured)) if version is not None else {},
    }
    kept = {word: value for word, value in found.items() if value not in ({}, None) and _size(value) <= _MOST}
    while _size(kept) > _MOST_IN_ALL:
        del kept[max(kept, key=lambda word: _size(kept[word]))]
    return BroughtAlong(kept, tuple(sorted({*said} - {*kept} - _OWN))[:_MOST_NAMED])


def _size(value: object) -> int:
    return len(json.dumps(value))
