"""The backend that the documentation shows keeps the laws, as anybody's would: from outside the package."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from folder_backend import FolderBackend

from modelregistry.testing import BackendSuite
from modelregistry.testing.opened import Opener


class TestFolderBackend(BackendSuite):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return partial(FolderBackend, tmp_path / "log")
