"""Parsed files that are kept."""

from __future__ import annotations

import json
import os
import time
import warnings
from pathlib import Path

import pytest

from modelregistry.errors import InvalidFileError
from modelregistry.project.documents import ABSENT, Documents, Recent, prune, read_document

OID = "a" * 40
LONG = b"stages:\n" + b"".join(b"  s%d: {cmd: 0x10, x: '1', y: [1.5, true, ~]}\n" % n for n in range(100))


def test_a_document_is_read_by_the_suffix_of_its_name() -> None:
    assert read_document(b"a: 1e-3\nb: '1'\n", "x.yaml") == {"a": 0.001, "b": "1"}
    assert read_document(b"a: 1\n", "dvc.lock") == {"a": 1}
    assert read_document(b'{"a": NaN, "b": [1]}', "x.JSON") == {"a": "NaN", "b": [1]}
    assert read_document(b"a = 2020-01-01\nb = inf\nc = 1.5\nd = 07:00:00\n", "x.toml") == {
        "a": "2020-01-01", "b": "inf", "c": 1.5, "d": "07:00:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        (b"a: b: c", "x.yaml", "line 1, column 5"),
        (b"{", "x.json", "no JSON"),
        (b"[" * 100_000, "x.json", "no JSON"),
        (b"[" * 100 + b"]" * 100, "x.json", "deeper"),
        (b"\xff", "x.json", "UTF-8"),
        (b"a = ", "x.toml", "no TOML"),
        (b"a = " + b"[" * 5000, "x.toml", "no TOML"),
        (b"#" * (2 << 20), "x.toml", "larger"),
        (b"#" * (9 << 20), "x.json", "larger"),
        (b"1" * 5000, "x.json", "no JSON"),
        (b"a = ", "x.py", "no Python"),
        (b"a = " + b"(" * 100_000, "x.py", "no Python"),
        (b"a = " + b"-" * 100_000 + b"1", "x.py", "no Python"),
        (b"a = " + b"1+" * 60_000 + b"1", "x.py", "no Python"),
        (b"a = " + b"lambda:" * 30_000 + b"1", "x.py", "no Python"),
        (b"a = " + b"[" * 90 + b"]" * 90, "x.py", "deeper"),
        (b"#" * (2 << 18), "x.py", "larger"),
    ],
)
def test_what_could_hurt_is_refused_at_once(data: bytes, path: str, message: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(InvalidFileError, match=message):
        read_document(data, path)
    assert time.perf_counter() - begin < 2


PYTHON = """
import os
C = 0.1
layers: list[int] = [1, 2]
nothing: int
pair = (1, "two")
deep = {"a": {"b": None, 1: -2.5}}
unknown = os.getcwd()
half = {"a": 1, "b": os}
x = y = 1
a, b = 1, 2
C = 0.2
text = "\\d"
class Train:
    rounds = 300
    class Inner:
        seed = 1
    def __init__(self):
        self.rate = 1e-3
        local = 7
        self.other.deep = 8
    def run(self):
        self.no = 1
if True:
    hidden = 1
"""


def test_values_in_python_are_those_that_dvc_reads() -> None:
    from dvc.utils.serialize import parse_py

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = parse_py(PYTHON, "x.py")
    ours = read_document(PYTHON.encode(), "x.py")
    assert ours == json.loads(json.dumps(theirs))
    assert ours["C"] == 0.2  # type: ignore[index]
    assert ours["Train"] == {"rounds": 300, "Inner": {"seed": 1}, "rate": 0.001}  # type: ignore[index]


def test_nothing_in_python_is_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    text = f"open({str(made)!r}, 'w')\na = open({str(made)!r}, 'w')\nb = 1\n"
    assert read_document(text.encode(), "x.py") == {"b": 1}
    assert not made.exists()


def test_what_was_not_used_for_long_and_what_is_too_much_is_forgotten(tmp_path: Path) -> None:
    now = time.time()
    for number in range(4):
        place = tmp_path / str(number) / "x.yaml.json"
        place.parent.mkdir()
        place.write_text("x" * 100)
        os.utime(place, (now - number * 1000, now - number * 1000))
    assert prune(tmp_path, 2500) == 100
    assert prune(tmp_path, 1e9, most=250) == 100
    assert sorted(path.parent.name for path in tmp_path.rglob("*.json")) == ["0", "1"]


def test_once_a_day_a_writer_tidies_and_what_is_used_stays(tmp_path: Path) -> None:
    Documents(tmp_path).parsed(OID, "dvc.lock", LONG)
    (kept,) = tmp_path.rglob("*.json")
    unused = kept.with_name("old.yaml.json")
    unused.write_text("{}")
    for place in (kept, unused):
        os.utime(place, (1e9, 1e9))
    assert Documents(tmp_path).find(OID, "dvc.lock") is not ABSENT  # which is a use
    Documents(tmp_path).parsed("b" * 40, "dvc.lock", LONG)
    assert unused.exists(), "it was tidied today"
    os.utime(tmp_path / ".tidied", (1e9, 1e9))
    Documents(tmp_path).parsed("c" * 40, "dvc.lock", LONG)
    assert (kept.exists(), unused.exists()) == (True, False)


def test_what_is_asked_again_is_kept_before_what_is_new() -> None:
    recent = Recent(3)
    for key in "abc":
        recent.put(key, key.upper(), 1)
    assert recent.get("a") == "A"
    recent.put("d", "D", 1)
    assert [recent.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    recent.put("c", "CC", 3)
    assert [recent.get(key) for key in "acd"] == [None, "CC", None]


def test_what_is_parsed_as_soon_as_it_would_be_found_is_not_kept_on_disk(tmp_path: Path) -> None:
    def lock(steps: int) -> bytes:
        return b"stages:\n" + b"".join(b"  s%d:\n    cmd: 0x10\n" % n for n in range(steps))

    simple = lock(1_000)
    documents = Documents(tmp_path)
    found = documents.parsed(OID, "dvc.lock", simple)
    assert documents.find(OID, "dvc.lock") is found == read_document(simple, "x.yaml")
    documents.parsed("b" * 40, "dvc.lock", b"stages: {s: {cmd: 0x10}}\n")
    assert [*tmp_path.rglob("*.json")] == []
    documents.parsed("c" * 40, "dvc.lock", lock(2_000))
    assert len([*tmp_path.rglob("*.json")]) == 1


def test_a_document_is_parsed_once_and_known_to_the_next_process(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    assert documents.find(OID, "dvc.lock") is ABSENT
    found = documents.parsed(OID, "dvc.lock", LONG)
    assert documents.find(OID, "dvc.lock") is found
    assert Documents(tmp_path).find(OID, "other/dvc.lock") == found == read_document(LONG, "x.yaml")


def test_one_content_in_two_languages_is_two_documents(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    documents.parsed(OID, "x.yaml", b"{a: 1}")
    assert documents.find(OID, "x.json") is ABSENT


def test_small_documents_are_sooner_parsed_than_kept(tmp_path: Path) -> None:
    Documents(tmp_path).parsed(OID, "x.yaml", b"a: 1\n")
    assert not any(tmp_path.rglob("*.json"))


def kept(folder: Path) -> Path:
    Documents(folder).parsed(OID, "dvc.lock", LONG)
    (file,) = folder.rglob("*.json")
    return file


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 0, "document": 1}', '{"schema": 1}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    kept(tmp_path).write_text(text)
    assert Documents(tmp_path).find(OID, "dvc.lock") is ABSENT


def test_a_file_that_others_could_have_written_is_not_believed(tmp_path: Path) -> None:
    file = kept(tmp_path)
    file.write_text(json.dumps({"schema": 1, "document": {"stages": {}}}))
    assert Documents(tmp_path).find(OID, "dvc.lock") == {"stages": {}}
    file.chmod(0o666)
    assert Documents(tmp_path).find(OID, "dvc.lock") is ABSENT


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    documents = Documents(tmp_path / "file" / "below")
    assert documents.parsed(OID, "dvc.lock", LONG) is documents.find(OID, "dvc.lock")


def test_memory_is_bounded(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    for number in range(600):
        documents.parsed(f"{number:040}", "x.yaml", b"a: 1\n")
    assert documents.find(f"{0:040}", "x.yaml") is ABSENT
    assert documents.find(f"{599:040}", "x.yaml") == {"a": 1}
