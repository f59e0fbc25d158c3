"""The text of ``*.dvc`` files; that it is what DVC writes, ``test_importing`` holds."""

from __future__ import annotations

import pytest

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import ListedFile, read_dvc_file
from modelregistry.project.dvcfiletexts import (
    Imported,
    Tracked,
    added_text,
    imported_text,
    read_imported,
    suffix_of,
    suggested_name,
    suggested_path,
    updated_text,
)

FILE = Tracked("0" * 32, 7)
ORIGIN = Imported("https://example.org/maker", "models/churn.bin", "a" * 40, "main")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("churn.joblib", ".joblib"),
        ("churn.tar.gz", ".tar.gz"),
        ("model.weights.h5", ".weights.h5"),
        ("v1.2_model.pkl", ".pkl"),
        ("resnet-1.5", ""),
        (".hidden", ""),
        ("bundle", ""),
        ("churn v2.onnx", ".onnx"),
    ],
)
def test_the_ending_is_what_loaders_go_by(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


def test_a_place_and_a_name_are_made_of_what_is_known() -> None:
    assert suggested_path("churn", "model.tar.gz") == "models/churn.tar.gz"
    assert suggested_path("nlp:intent", "bundle") == "nlp/models/intent"
    assert suggested_name("Churn Model.pkl") == "churn-model"
    assert suggested_name("模型.bin") == ""


def test_a_folder_is_tracked_by_its_listing() -> None:
    files = [ListedFile("b", "1" * 32, 2), ListedFile("a", "2" * 32, 3)]
    found = Tracked.of(files, is_directory=True)
    assert (found.md5[-4:], found.size, found.nfiles) == (".dir", 5, 2)
    text = read_dvc_file(added_text("bundle", found), "bundle.dvc")
    assert (text.outs[0].md5, text.outs[0].size, text.outs[0].nfiles) == (found.md5, 5, 2)
    assert Tracked.of(files[:1], is_directory=False) == Tracked("1" * 32, 2)


@pytest.mark.parametrize(
    "origin",
    [
        ORIGIN,
        Imported("../maker: odd # path", "a b/'c'.bin", "b" * 40),
        Imported("git@host:maker", "x", "c" * 40, "churn@v1.0.0", reference="churn#current"),
        Imported("git@host:maker", "x", "c" * 40, model="nlp:intent"),
    ],
)
def test_what_was_asked_for_is_read_back(origin: Imported) -> None:
    text = imported_text("churn: 1.bin", FILE, origin)
    assert read_imported(text, "churn.bin.dvc") == origin
    assert read_dvc_file(text, "churn.bin.dvc").frozen


def test_an_update_leaves_what_else_stands_there() -> None:
    text = imported_text("churn.bin", FILE, ORIGIN).decode()
    text = (
        text.replace("- md5:", "# ours\n- md5:").replace("hash: md5", "hash: md5\n  remote: shelf")
        + "desc: kept\n"
    )
    new = Imported(ORIGIN.url, "elsewhere.bin", "b" * 40, None, reference="churn#current")
    after = updated_text(text.encode(), "churn.bin.dvc", Tracked("1" * 32 + ".dir", 9, 2), new)
    assert read_imported(after, "churn.bin.dvc") == new
    out = read_dvc_file(after, "churn.bin.dvc").outs[0]
    assert (out.md5, out.size, out.nfiles, out.remote) == ("1" * 32 + ".dir", 9, 2, "shelf")
    assert b"# ours" in after
    assert b"desc: kept" in after
    back = updated_text(after, "churn.bin.dvc", FILE, ORIGIN)
    assert read_imported(back, "churn.bin.dvc") == ORIGIN
    assert read_dvc_file(back, "churn.bin.dvc").outs[0].nfiles is None


def test_an_update_writes_the_md5_that_the_file_would_have_had() -> None:
    new = Imported(ORIGIN.url, ORIGIN.path, "b" * 40, "main")
    fresh = imported_text("churn.bin", Tracked("1" * 32, 9), new)
    assert updated_text(imported_text("churn.bin", FILE, ORIGIN), "x.dvc", Tracked("1" * 32, 9), new) == fresh


@pytest.mark.parametrize("text", [added_text("x", FILE), b"outs: 1", b"outs:\n- path: x\n  md5: no\n"])
def test_what_was_not_imported_is_not_updated(text: bytes) -> None:
    with pytest.raises(InvalidFileError):
        updated_text(text, "x.dvc", FILE, ORIGIN)


def test_an_import_without_its_commit_is_told() -> None:
    text = imported_text("x", FILE, ORIGIN).replace(b"rev_lock", b"other")
    with pytest.raises(InvalidFileError, match="rev_lock"):
        read_imported(text, "x.dvc")
