"""Parsed files that are kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from modelregistry.documents import ABSENT, Documents, read_document
from modelregistry.errors import InvalidFileError

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
        (b"import os\n", "x.py", "Python"),
    ],
)
def test_what_could_hurt_is_refused_at_once(data: bytes, path: str, message: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(InvalidFileError, match=message):
        read_document(data, path)
    assert time.perf_counter() - begin < 2


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
