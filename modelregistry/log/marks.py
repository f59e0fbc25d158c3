"""How far this user has seen the log of each model, so that what vanishes or is slipped in below is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelregistry.git.repo import file_mark
from modelregistry.keptfile import hashed, load_values, save_text
from modelregistry.log.checks import Problem
from modelregistry.log.events import Event


class Marks:
    """The events that this user has seen in one repository, by model, and the id of its registry.

    Args:
        folder: Where this user keeps them; only this user may write there.
        repository: What tells repositories apart.
    """

    def __init__(self, folder: Path, repository: str) -> None:
        self._folder = folder / hashed(repository)
        self._met: tuple[object, str | None] = (None, None)
        self._loaded: dict[str, tuple[object, Mapping[str, str]]] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """The models of which events were seen."""
        return self.missing(())

    def missing(self, models: Iterable[str]) -> tuple[str, ...]:
        """The models of which events were seen, without those; only the files of what is left are read."""
        known = {f"{hashed(model)}.json" for model in models}
        left = [path for path in self._folder.glob("*.json") if path.name not in known]
        found = {path: load_values(path).get("model") for path in left}
        return tuple(
            sorted(
                model
                for path, model in found.items()
                if isinstance(model, str) and self._place(model) == path
            )
        )

    @property
    def registry(self) -> str | None:
        """The id of the registry, as it was met first."""
        path = self._folder / "registry"
        stamp = file_mark(path)  # every read of a model asks for it
        if self._met[0] != stamp:
            text = ""
            with suppress(OSError, ValueError):
                text = path.read_text(encoding="utf-8").strip()
            self._met = stamp, text if text.isprintable() and text else None
        return self._met[1]

    def keep_registry(self, registry: str) -> None:
        """Remember the id of the registry."""
        save_text(self._folder / "registry", registry)

    def forget_registry(self) -> None:
        """Let the id of the registry be met anew."""
        with suppress(OSError):
            (self._folder / "registry").unlink()

    def gone(self, model: str, events: Iterable[Event]) -> dict[str, str]:
        """The events that were seen and are not there, as they were: what the backend called them, by fingerprint."""
        seen = self._seen(model)
        now = {event.fingerprint() for event in events} if seen else set()
        return {mark: source for mark, source in seen.items() if mark not in now}

    def compare(self, model: str, events: Sequence[Event], aside: Iterable[Event] = ()) -> Iterator[Problem]:
        """What happened to the log but that it grew at its end.

        Args:
            model: Its name.
            events: Its events, in their order.
            aside: Events that are there and do not count.
        """
        for source in self.gone(model, (*events, *aside)).values():
            yield Problem(
                model, source, "this event was there when this user last looked, and is gone: the log was rewound",
                "fetch the tag from a clone that still has it; if that is right, check(accept=True)",
            )  # fmt: skip
        seen = self._seen(model)
        marks = [event.fingerprint() for event in events]
        end = max((at for at, mark in enumerate(marks) if mark in seen), default=-1)
        for event, mark in zip(events[: end + 1], marks, strict=False):
            if mark not in seen:
                yield Problem(
                    model, event.source,
                    f"{event.author}'s event came after this user last looked, and is dated before what was there: a "
                    "clock is wrong, another clone wrote at that time, or somebody rewrites the past",
                    "look at it; if that is right, check(accept=True)",
                )  # fmt: skip

    def extend(self, model: str, events: Iterable[Event], *, accept: bool = False) -> None:
        """Remember what came at the end; all there is, and nothing else, if ``accept``."""
        listed = [(event.fingerprint(), event.source) for event in events]
        # Read just before it is written: another process of this user may have seen more.
        before = self._seen(model)
        seen = {} if accept else before
        end = max((at for at, (mark, _) in enumerate(listed) if mark in seen), default=-1)
        now = {**seen, **dict(listed[end + 1 :])}
        if now != before:
            text = json.dumps({"model": model, "seen": now})
            self._loaded[model] = save_text(self._place(model), text), now

    def forget(self, model: str) -> None:
        """Remember nothing of the model."""
        self._loaded.pop(model, None)
        with suppress(OSError):
            self._place(model).unlink()

    def _seen(self, model: str) -> Mapping[str, str]:
        place = self._place(model)
        stamp = file_mark(place)
        if model not in self._loaded or self._loaded[model][0] != stamp:
            found = load_values(place).get("seen")
            whole = isinstance(found, dict) and all(isinstance(source, str) for source in found.values())
            self._loaded[model] = stamp, (found or {}) if whole else {}
        return self._loaded[model][1]

    def _place(self, model: str) -> Path:
        return self._folder / f"{hashed(model)}.json"
