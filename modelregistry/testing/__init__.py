"""The laws that every backend, loader and exporter keeps, as pytest classes for those who write one.

Subclass it in a test module, say how the log is opened, and run pytest::

    class TestMyBackend(BackendSuite):
        @pytest.fixture
        def opener(self, tmp_path):
            return functools.partial(MyBackend, tmp_path / "log")

What it holds a backend to: laws that one process can see (``SequentialLaws``), any story told to it and to the log in
memory, which is the specification (``StoryLaw``), threads and processes that write at once and processes that are killed
(``WriterLaws``), and a log of some size (``SizeLaw``). The laws of processes are kept by whoever declares
``multi_writer``; there is no way to leave them out. Needs the extra ``testing``. To see the values in a failed
assertion, call ``pytest.register_assert_rewrite("modelregistry.testing")`` before the import. A loader is held to
``LoaderSuite``, and an exporter to ``ExporterSuite``, in the same manner.
"""

from __future__ import annotations

from modelregistry.testing.events import make_event, make_events
from modelregistry.testing.exporters import ExporterSuite
from modelregistry.testing.laws import SequentialLaws
from modelregistry.testing.loaders import LoaderSuite
from modelregistry.testing.size import SizeLaw
from modelregistry.testing.story import StoryLaw
from modelregistry.testing.writers import WriterLaws

__all__ = [
    "BackendSuite",
    "ExporterSuite",
    "LoaderSuite",
    "SequentialLaws",
    "SizeLaw",
    "StoryLaw",
    "WriterLaws",
    "make_event",
    "make_events",
]


class BackendSuite(SequentialLaws, StoryLaw, WriterLaws, SizeLaw):
    """Everything a backend promises. Override ``opener``, and what else yours needs."""
