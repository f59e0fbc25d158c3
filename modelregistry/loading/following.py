"""follow(): a model that is served, and swapped for the new one when its stage moves."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from modelregistry.display.shown import Shown, shown
from modelregistry.display.view import Facts, View
from modelregistry.errors import InvalidInputError
from modelregistry.registry import Registry
from modelregistry.version import ModelVersion, Trust, Verify

_log = logging.getLogger("modelregistry")


@shown
class Serving(NamedTuple):
    """A model and the version it is."""

    version: ModelVersion
    model: object


class Followed(Shown):
    """What ``follow`` gives: the model of the version that holds the stage, as it was when last looked.

    ``model`` and ``version`` change at once when another version was loaded whole; ``serving`` has both of one moment.
    It may be used from any thread. In a forked child it goes on looking by itself. ``close()`` ends the looking, and
    so does letting go of it; the model stays.
    """

    def __init__(
        self,
        look_up: Callable[[], ModelVersion],
        load: Callable[[ModelVersion], object],
        *,
        every: float | None,
        on_change: Callable[[ModelVersion, ModelVersion], object] | None,
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        self._look_up = look_up
        self._load = load
        self._every = every
        self._on_change = on_change
        self._on_error = on_error
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._told = ""
        found = look_up()
        self._serving = Serving(found, load(found))
        self._watch()
        _alive.add(self)

    @property
    def serving(self) -> Serving:
        """The version and its model."""
        return self._serving

    @property
    def model(self) -> object:
        """The model."""
        return self._serving.model

    @property
    def version(self) -> ModelVersion:
        """The version it is, as it was when it was loaded."""
        return self._serving.version

    def _line(self) -> str:
        return f"<following {self.version.name!r}, serving {self.version.reference}>"

    def _view(self) -> View:
        return View(f"Following {self.version.name}", blocks=[Facts([("serving", self.version.reference)])])

    def refresh(self) -> bool:
        """Look now; whether another model is served since.

        A failure is not raised: what is served stays, ``on_error`` is called, and the log says why.
        """
        with self._lock:
            before = self._serving
            try:
                found = self._look_up()
                if (found.reference, found.rev, found.digest) == _identity(before.version):
                    self._told = ""
                    return False
                self._serving = Serving(found, self._load(found))
            except Exception as error:  # noqa: BLE001 (whatever it is: the service goes on)
                self._report(error, before.version)
                return False
            self._told = ""
        _log.info("%s is served in place of %s", found.reference, before.version.reference)
        if self._on_change is not None:
            self._call(self._on_change, before.version, found)
        return True

    def close(self) -> None:
        """Look no more; the model stays."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _report(self, error: Exception, serving: ModelVersion) -> None:
        what = f"{type(error).__name__}: {error}"
        if what != self._told:  # once, not at every look
            self._told = what
            _log.warning("%s is served on: %s", serving.reference, what)
        if self._on_error is not None:
            self._call(self._on_error, error)

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # noqa: BLE001 (nor may what the caller passed end the looking)
            _log.exception("what follows %s raised", self.version.name)

    def _watch(self) -> None:
        if self._every is not None:
            # It must not keep what it looks after alive.
            threading.Thread(
                target=_look_again, args=(weakref.ref(self), self._closed, self._every),
                name=f"modelregistry-follow-{self.version.name}", daemon=True,
            ).start()  # fmt: skip

    def _after_fork(self) -> None:
        """Threads do not come along into a child, and a lock may have been held by one of them."""
        self._lock = threading.Lock()
        if not self._closed.is_set():
            self._closed = threading.Event()
            self._watch()


def follow(
    model: str,
    *,
    stage: str,
    registry: Registry | str | os.PathLike[str] | None = None,
    every: float | None = 30.0,
    on_change: Callable[[ModelVersion, ModelVersion], object] | None = None,
    on_error: Callable[[Exception], object] | None = None,
    trust: Trust = None,
    loader: str | None = None,
    verify: Verify = "once",
) -> Followed:
    """Serve the model that holds a stage, and swap it when the stage moves.

    The new one is fetched, verified and loaded first; only then does it take the place of the old one. If anything
    fails, or nobody holds the stage any more, the old one is served on, and the log and ``on_error`` say why.

    Args:
        model: Its name.
        stage: The stage.
        registry: A registry, or a path or Git URL of one. Left out: ``$MODELREGISTRY_URL``, else the current folder.
            A URL is fetched anew at every look; a clone is not: ``git fetch --tags`` brings it what others wrote.
        every: Seconds between two looks, by a thread in the background; None for none: ``refresh()`` looks.
        on_change: Called with the version before and the one that is served now.
        on_error: Called with what went wrong.
        trust: As for ``load_model``.
        loader: As for ``load_model``.
        verify: As for ``load_model``.

    Raises:
        RegistryError: The first one can't be loaded: as ``load_model`` does.
        InvalidInputError: ``every`` is not above zero.
    """
    if every is not None and not (isinstance(every, int | float) and every > 0):
        raise InvalidInputError(f"every={every!r} is no time between two looks; None looks at refresh() only")
    opened = registry if isinstance(registry, Registry) else Registry(registry, max_age=(every or 0) / 2)
    return Followed(
        lambda: opened.get(model, stage=stage),
        lambda version: version.load(trust=trust, loader=loader, verify=verify),
        every=every, on_change=on_change, on_error=on_error,
    )  # fmt: skip


_alive: weakref.WeakSet[Followed] = weakref.WeakSet()


def _look_again(followed: weakref.ref[Followed], closed: threading.Event, every: float) -> None:
    while not closed.wait(every):
        found = followed()
        if found is None:
            return
        found.refresh()
        del found


def _identity(version: ModelVersion) -> tuple[str, str, str | None]:
    return version.reference, version.rev, version.digest


def _restart() -> None:
    for followed in list(_alive):
        followed._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart)
