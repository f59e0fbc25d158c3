"""What a user has seen: kept whole by several processes, and nothing where the files say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelregistry.log.events import Annotated, Event
from modelregistry.log.marks import Marks
from modelregistry.testing import make_event

EVENTS = [make_event(Annotated, "churn", "a" * 40, second=second, number=second) for second in range(1, 6)]


def marks(folder: Path) -> Marks:
    return Marks(folder, "repository")


def seen(folder: Path, events: list[Event] = EVENTS) -> list[int]:
    """The numbers of the events that a process would miss, were there none."""
    gone = marks(folder).gone("churn", ())
    return [event.number for event in events if event.fingerprint() in gone]


def the_file(folder: Path) -> Path:
    (found,) = folder.glob("*/*.json")
    return found


def test_what_two_processes_saw_is_remembered_by_both(tmp_path: Path) -> None:
    one, other = marks(tmp_path), marks(tmp_path)
    one.extend("churn", EVENTS[:1])
    other.extend("churn", EVENTS[:2])
    one.extend("churn", [EVENTS[0], EVENTS[2]])  # it has not fetched what the other saw
    assert seen(tmp_path) == [1, 2, 3]
    other.extend("churn", EVENTS[:4])
    assert seen(tmp_path) == [1, 2, 3, 4]
    assert list(one.gone("churn", EVENTS[:3])) == [EVENTS[3].fingerprint()]


def test_what_one_process_accepts_the_others_accept(tmp_path: Path) -> None:
    one, other = marks(tmp_path), marks(tmp_path)
    one.extend("churn", EVENTS[:3])
    assert other.gone("churn", EVENTS[:1])
    other.extend("churn", EVENTS[:1], accept=True)
    assert not one.gone("churn", EVENTS[:1])
    one.extend("churn", EVENTS[:2])
    assert seen(tmp_path) == [1, 2]
    other.forget("churn")
    assert not one.gone("churn", ())
    assert one.models == ()


def test_what_cannot_be_written_is_remembered_by_this_process(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = marks(tmp_path / "file")
    found.extend("churn", EVENTS[:1])
    found.keep_registry("r")
    assert found.gone("churn", ())
    assert found.registry is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff\xfe", b"[]", b"{", b"[" * 100_000, b'{"model": "churn"}', b'{"model": "churn", "seen": ["x"]}',
        b'{"model": "churn", "seen": {"x": 1}}', b'{"model": "churn", "seen": {"x": {"y": "z"}}}',
        b'{"model": ["churn"], "seen": null}', b'{"model": "risk", "seen": {}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_nothing_remembered(tmp_path: Path, text: bytes) -> None:
    marks(tmp_path).extend("churn", EVENTS[:1])
    the_file(tmp_path).write_bytes(text)
    found = marks(tmp_path)
    assert not found.gone("churn", ())
    assert set(found.missing(["risk"])) <= {"churn"}
    assert not list(found.compare("churn", EVENTS))
    found.extend("churn", EVENTS[:2])
    assert seen(tmp_path) == [1, 2]
    assert json.loads(the_file(tmp_path).read_bytes())["model"] == "churn"


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\0", b"\n", b"a\nb", b"a\0b"])
def test_a_damaged_id_of_the_registry_is_none(tmp_path: Path, text: bytes) -> None:
    marks(tmp_path).keep_registry("r")
    (file,) = tmp_path.glob("*/registry")
    file.write_bytes(text)
    assert marks(tmp_path).registry is None
    marks(tmp_path).keep_registry("\ud800")  # what can't be written
    marks(tmp_path).keep_registry("s")
    assert marks(tmp_path).registry == "s"


def test_the_models_that_are_missing_are_those_that_were_seen_and_are_not_named(tmp_path: Path) -> None:
    found = marks(tmp_path)
    for model in ("churn", "risk", "a/b:c"):
        found.extend(model, EVENTS[:1])
    assert found.models == ("a/b:c", "churn", "risk")
    assert found.missing(["risk", "other"]) == ("a/b:c", "churn")
