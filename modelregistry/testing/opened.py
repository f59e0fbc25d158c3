"""How the suites come by a backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelregistry.backends.base import Backend

Opener = Callable[[], Backend]
"""Opens the same log again and again; where processes may write at once, they open it too, so it can be pickled."""


class Opened:
    """What the tests of every suite ask for. Override ``opener``, and ``rev`` where it matters."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Opens one log, empty at first: ``functools.partial(MyBackend, tmp_path)``, say."""
        raise NotImplementedError(
            "override the fixture 'opener': it returns what opens a backend over one log"
        )

    @pytest.fixture
    def backend(self, opener: Opener) -> Backend:
        """The log, opened."""
        return opener()

    @pytest.fixture
    def rev(self, opener: Opener) -> str:
        """A commit id that the backend takes."""
        del opener
        return "0123456789" * 4
