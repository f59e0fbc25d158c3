"""Pausing Python's garbage collector while many objects are made that are all here to stay."""

from __future__ import annotations

import gc

_MANY = 10_000
"""New objects, from which on to look at them takes longer than a millisecond."""


class paused:  # noqa: N801 - used as a word: ``with paused():``
    """No collection inside the block: to look for garbage among new modules, events or a model finds none.

    It takes a fifth of the time of a full read, and a tenth of that of a first load. Objects are still freed when
    their last reference goes; only circles wait.
    """

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                # Or the next object that anybody makes would have all of these looked at, for nothing. The two calls
                # put them among the old ones without a look; what the caller has frozen would thaw with them.
                gc.freeze()
                gc.unfreeze()
            gc.enable()
