"""What a registry shows of itself, by what is on this machine: nothing is fetched, and only a few logs are read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from typing import Protocol

from modelregistry.backends.base import Backend
from modelregistry.display.cards import MOST_MODELS, registry_card
from modelregistry.display.view import View
from modelregistry.errors import RegistryError
from modelregistry.log.history import History
from modelregistry.log.summaries import summarize
from modelregistry.names import check_model
from modelregistry.plugins import GIT

_Line = tuple[str, str | None, Mapping[str, tuple[str, ...]], bool]


class _Folded(Protocol):
    """A model, folded."""

    history: History


def portrait(
    place: str,
    log: Backend,
    fold: Callable[[str], _Folded] | None,
    *,
    at_hand: Callable[[], AbstractContextManager[object]],
    synced_at: datetime | None,
) -> View:
    """Where a registry is, and its first models.

    Args:
        place: Its address, without secrets.
        log: Its log; that in tags is on this machine.
        fold: Reads a model as its log is on this machine; None where that takes long.
        at_hand: A context in which nothing is fetched.
        synced_at: When it was fetched last; None where it is no mirror.
    """
    facts: list[tuple[str, object]] = [("fetched", synced_at)]
    if log.capabilities.remote and log.kind != GIT:
        facts.append(("log", log.identity))
        return registry_card(
            place, [], total=None, facts=facts, note="Its log is in a database: models() lists its models."
        )
    try:
        with at_hand(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = sorted(log.heads())
            lines = [*islice(_lines(names, fold), MOST_MODELS)]
    except (RegistryError, OSError) as error:
        return registry_card(place, [], total=None, facts=facts, note=f"Its log can't be read: {error}")
    total = len(lines) if len(names) <= MOST_MODELS else len(names)
    return registry_card(place, lines, total=total, facts=facts)


def _lines(names: Sequence[str], fold: Callable[[str], _Folded] | None) -> Iterator[_Line]:
    for name in names:
        if fold is None:
            yield name, None, {}, False
            continue
        found = summarize(fold(check_model(name)).history)
        if found.known:
            yield name, found.latest, found.stages, found.deprecated
