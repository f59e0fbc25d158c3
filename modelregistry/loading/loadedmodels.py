"""The models that this process has loaded: each once, and the last ones of a model kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

_KEPT = 2
"""Objects of one model: its current version and its shadow, say. Older ones are let go."""


class LoadedModels:
    """Objects by what they were loaded from; safe for many threads, of which the first loads and the others wait."""

    def __init__(self) -> None:
        self._models: dict[str, OrderedDict[Hashable, Future[object]]] = {}
        self._lock = threading.Lock()

    def get(self, model: str, key: Hashable, load: Callable[[], object]) -> object:
        """The object for the key, loaded now if it is not there; what ``load`` raises is not kept."""
        kept = self._models.get(model)  # without the lock: it only ever shows whole entries
        known = kept.get(key) if kept is not None else None
        if known is not None and known.done() and known.exception() is None:
            return known.result()
        with self._lock:
            kept = self._models.setdefault(model, OrderedDict())
            future = kept.get(key)
            mine = future is None
            if future is None:
                future = kept[key] = Future()
            kept.move_to_end(key)
        if not mine:
            return future.result()
        try:
            future.set_result(load())
        except BaseException as error:
            self._forget(model, key)
            future.set_exception(error)
            raise
        with self._lock:
            done = [each for each, loaded in kept.items() if loaded.done()]
            for old in done[:-_KEPT]:
                del kept[old]
        return future.result()

    def _forget(self, model: str, key: Hashable) -> None:
        with self._lock:
            self._models[model].pop(key, None)
