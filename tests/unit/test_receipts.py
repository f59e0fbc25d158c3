"""What is remembered of a verified file: while nothing of it moved it needs no hashing, and a note in doubt is none."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from modelregistry.content.receipts import Facts, Receipt, date_back, look
from modelregistry.content.store import hash_file

SECOND = 1_000_000_000
MINUTES_AGO = 60 * SECOND * 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"bytes")
    date_back(path)
    return path


def wait_for_a_tick(after: Path) -> None:
    """Until the file system gives another time than the last one of this file."""
    probe = after.with_name(".probe")
    last = os.stat(after).st_ctime_ns
    while probe.write_bytes(b"") is None or os.stat(probe).st_ctime_ns <= last:
        pass
    probe.unlink()


def receipt_of(path: Path) -> Receipt:
    facts = look(path)
    assert facts is not None
    return Receipt({"": facts}, whole=True)


# -- what shows --------------------------------------------------------------------------------------------


def test_a_file_that_nobody_touched_needs_no_hashing(file: Path) -> None:
    assert receipt_of(file).holds(file)


def set_back(path: Path) -> None:
    """Other bytes, as many, at the same time."""
    before = path.stat()
    wait_for_a_tick(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)


def swap(path: Path) -> None:
    """Another file of the same size and time in its place."""
    other = path.with_name("other")
    other.write_bytes(b"other")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "written to": lambda path: path.write_bytes(b"other"),
    "written to, the time set back": set_back,
    "another file of the same size and time": swap,
    "longer": lambda path: path.write_bytes(b"bytes and more"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: [path.unlink(), path.mkdir()],
    "a pipe": lambda path: [path.unlink(), os.mkfifo(path)],
    "a link to another": lambda path: [path.with_name("x").write_bytes(b"bytes"), path.unlink(), path.symlink_to("x")],
    "a link to nowhere": lambda path: [path.unlink(), path.symlink_to("nowhere")],
}  # fmt: skip


@pytest.mark.parametrize("how", CHANGES)
def test_whatever_is_done_to_a_file_shows(how: str, file: Path) -> None:
    receipt = receipt_of(file)
    CHANGES[how](file)
    assert not receipt.holds(file)


def test_a_write_right_after_a_look_shows(file: Path) -> None:
    """The file was dated back, so the first write moves its time, however little time has passed."""
    for number in range(500):
        date_back(file)
        receipt = receipt_of(file)
        file.write_bytes(b"%05d" % number)
        assert not receipt.holds(file)


@pytest.mark.parametrize("fact", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_each_fact_tells_two_files_apart(fact: str) -> None:
    """A clock that was set back, say, may leave only one that differs."""
    seen = {"st_dev": 1, "st_ino": 2, "st_size": 3, "st_mtime_ns": 4, "st_ctime_ns": 5}
    facts = [Facts.of(SimpleNamespace(**each)) for each in (seen, seen, seen | {fact: 9})]  # type: ignore[arg-type]
    assert facts[0] == facts[1] != facts[2]


def test_one_file_of_several_is_judged_by_itself(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
        date_back(tmp_path / name)
    facts = {name: look(tmp_path / name) for name in ("a", "b")}
    receipt = Receipt({name: found for name, found in facts.items() if found}, whole=True)
    assert receipt.holds(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    assert not receipt.holds(tmp_path)
    assert not receipt.holds(tmp_path, "a")
    assert receipt.holds(tmp_path, "b")
    assert not receipt.holds(tmp_path, "c")


def test_what_is_not_all_of_it_vouches_for_its_own_files_only(file: Path) -> None:
    facts = look(file)
    assert facts is not None
    receipt = Receipt({file.name: facts})
    assert receipt.holds(file.parent, file.name)
    assert not receipt.holds(file.parent)


# -- when a look is worth something ------------------------------------------------------------------------


def facts_of(*, mtime: int, ctime: int) -> Facts:
    return Facts(1, 1, 1, mtime, ctime)


@pytest.mark.parametrize(
    ("mtime", "settled"),
    [(0, False), (-1, False), (-19_000_000, False), (-21_000_000, True), (-MINUTES_AGO - 1, True), (MINUTES_AGO, False)],
)  # fmt: skip
def test_a_file_counts_as_seen_when_its_last_write_is_longer_ago_than_a_tick(
    mtime: int, settled: bool
) -> None:
    now = 1_700_000_000 * SECOND + 123_456_789
    assert facts_of(mtime=now + mtime, ctime=now).settled(now) is settled


@pytest.mark.parametrize(("ago", "settled"), [(0, False), (1, False), (2, False), (3, True)])
def test_times_of_whole_seconds_are_taken_for_those_of_a_file_system_that_has_no_others(
    ago: int, settled: bool
) -> None:
    now = 1_700_000_000 * SECOND
    assert facts_of(mtime=now - ago * SECOND, ctime=now).settled(now) is settled


def test_a_file_that_was_just_written_is_hashed_and_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "fresh"
    path.write_bytes(b"bytes")
    os.utime(path)
    assert hash_file(path).facts is None
    until = time.monotonic() + 30
    while (facts := hash_file(path).facts) is None:
        assert time.monotonic() < until
    assert facts == look(path)


def test_a_file_that_was_dated_back_is_remembered_at_once(file: Path) -> None:
    assert hash_file(file).facts == look(file)


def test_a_new_name_is_told_from_a_change(file: Path) -> None:
    before = look(file)
    assert before is not None
    wait_for_a_tick(file)
    os.link(file, file.with_name("second"))
    after = look(file)
    assert after is not None
    assert after != before
    assert before.linked(after)
    file.write_bytes(b"other")
    changed = look(file)
    assert changed is not None
    assert not before.linked(changed)


# -- the note ----------------------------------------------------------------------------------------------


@pytest.fixture
def note(file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "receipts" / "note"
    receipt_of(file).save(path)
    return path


def test_a_note_is_read_as_it_was_written(file: Path, note: Path) -> None:
    found = Receipt.load(note)
    assert found.holds(file)
    assert (found.whole, found.files) == (True, {"": look(file)})
    assert list(note.parent.iterdir()) == [note], "no temporary file is left"


def test_a_note_that_was_cut_off_anywhere_is_none(file: Path, note: Path) -> None:
    whole = note.read_bytes()
    for length in range(len(whole)):
        note.write_bytes(whole[:length])
        assert not Receipt.load(note).holds(file), whole[:length]


@pytest.mark.parametrize(
    "text",
    [
        "", "\0" * 100, "garbage", "[]", "7", "null", '"x"', "{}", '{"whole": true}', '{"files": {}}', '{"whole": true, "files": []}',
        '{"whole": true, "files": {"": null}}', '{"whole": true, "files": {"": [1, 2, 3]}}',
        '{"whole": true, "files": {"": [1, 2, 3, 4, 5, 6]}}', '{"whole": true, "files": {"": ["a", 1, 2, 3, 4]}}',
        '{"whole": true, "files": {"": {"a": 1}}}', '{"whole": "yes", "files": {"": [1, 2, 3, 4, 5]}}',
        '{"whole": true, "files": {"": [1e999, 1, 2, 3, 4]}}', '{"whole": true, "files": {"": [NaN, 1, 2, 3, 4]}}',
        "[" * 100_000, '{"whole": true, "files": {}}',
    ],
)  # fmt: skip
def test_a_note_that_is_none_is_not_believed(text: str, file: Path, note: Path) -> None:
    note.write_text(text)
    found = Receipt.load(note)
    assert not found.holds(file)
    assert not found.holds(file.parent, file.name)


@pytest.mark.parametrize("mode", [0o622, 0o620, 0o666, 0o777])
def test_a_note_that_others_could_write_is_not_believed(mode: int, file: Path, note: Path) -> None:
    note.chmod(mode)
    assert not Receipt.load(note).holds(file)
    note.chmod(0o644)
    assert Receipt.load(note).holds(file)


def test_a_note_that_is_a_link_or_a_pipe_is_not_believed(file: Path, note: Path) -> None:
    aside = note.rename(note.with_name("aside"))
    note.symlink_to(aside)
    assert not Receipt.load(note).holds(file)
    note.unlink()
    os.mkfifo(note)
    assert not Receipt.load(note).holds(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_note_of_another_user_is_not_believed(file: Path, note: Path) -> None:
    os.chown(note, 65534, 65534)
    assert not Receipt.load(note).holds(file)


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o027, 0o077])
def test_a_note_is_believed_under_every_umask(mask: int, file: Path, tmp_path: Path) -> None:
    """0002 is the default of users who have a group of their own."""
    before = os.umask(mask)
    try:
        receipt_of(file).save(tmp_path / "receipts" / "note")
    finally:
        os.umask(before)
    assert Receipt.load(tmp_path / "receipts" / "note").holds(file)
    assert os.stat(tmp_path / "receipts" / "note").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "receipts").st_mode & 0o777 == 0o700


def test_a_note_that_can_t_be_written_is_no_matter(file: Path, note: Path) -> None:
    receipt_of(file).save(note / "below a file")
    assert Receipt.load(note).holds(file)


def test_a_note_with_odd_names_is_read_as_it_was_written(file: Path, note: Path) -> None:
    facts = look(file)
    assert facts is not None
    files = {"a\nb": facts, 'c"d': facts, "ü/🦄": facts}
    Receipt(files, whole=True).save(note)
    assert Receipt.load(note).files == files
    assert json.loads(note.read_text())
