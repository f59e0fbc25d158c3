"""Skops files: types that skops doubts are named, and only permitted ones are built."""

import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from modelregistry.errors import RegistryError, UnknownFormatError
from modelregistry.loaders.base import Permit, Tier, UntrustedNamesError
from modelregistry.loaders.skops import SkopsLoader

LOADER = SkopsLoader()
FEATURES, TARGET = np.arange(20.0).reshape(10, 2), np.array([0, 1] * 5)
TREE = "sklearn.tree._tree.Tree"


def dumped(folder: Path, model: object, name: str = "model.skops") -> Path:
    path = folder / name
    skops.io.dump(model, path)
    return path


def hostile(folder: Path, **change: str) -> Path:
    """A file whose outermost type was changed in the schema."""
    path = dumped(folder, LogisticRegression().fit(FEATURES, TARGET))
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members["schema.json"] = json.dumps({**json.loads(members["schema.json"]), **change}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def test_the_same_model_is_saved_as_the_same_bytes_whenever_and_wherever_in_memory_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for year in (2026, 2030):
        monkeypatch.setattr(time, "localtime", lambda *_, year=year: (year, 1, 2, 3, 4, 6))
        pieces = [LogisticRegression().fit(FEATURES, TARGET), FEATURES.copy(), {"file": "1.npy", "__id__": 7}]
        path = tmp_path / f"{year}.skops"
        LOADER.save([*pieces, pieces[1]], path)
        made.append((path.read_bytes(), pieces))  # kept, so that the next ones lie elsewhere
    assert made[0][0] == made[1][0]
    loaded = LOADER.load(path, Permit())
    assert isinstance(loaded, list)
    assert loaded[1] is loaded[3]  # what was one object is one
    assert np.array_equal(loaded[1], FEATURES)
    assert loaded[2] == {"file": "1.npy", "__id__": 7}
    assert np.array_equal(loaded[0].predict(FEATURES), made[0][1][0].predict(FEATURES))  # type: ignore[attr-defined]
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ".skops"] == []


def test_a_model_of_types_that_skops_trusts_is_confined_and_loads(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FEATURES, TARGET)
    path = dumped(tmp_path, model)
    found = LOADER.inspect(path)
    assert (found.tier, found.names) == (Tier.CONFINED, ())
    loaded = LOADER.load(path, Permit())
    assert isinstance(loaded, LogisticRegression)
    assert np.array_equal(loaded.predict(FEATURES), model.predict(FEATURES))


def test_a_type_that_skops_doubts_is_named_and_loads_only_when_permitted(tmp_path: Path) -> None:
    path = dumped(tmp_path, DecisionTreeClassifier().fit(FEATURES, TARGET))
    found = LOADER.inspect(path)
    assert (found.tier, found.names) == (Tier.NAMED, (TREE,))
    with pytest.raises(UntrustedNamesError) as caught:
        LOADER.load(path, Permit(frozenset({"sklearn.tree._tree.Other"})))
    assert caught.value.names == (TREE,)
    for permit in (Permit(frozenset({TREE})), Permit(code=True)):
        loaded = LOADER.load(path, permit)
        assert np.array_equal(loaded.predict(FEATURES), TARGET)  # type: ignore[attr-defined]


def test_a_hostile_type_is_named_and_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "imported_on_load.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Model: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = hostile(tmp_path, __module__="imported_on_load", __class__="Model")
    assert LOADER.inspect(path).names == ("imported_on_load.Model",)
    with pytest.raises(UntrustedNamesError):
        LOADER.load(path, Permit())
    assert not mark.exists()
    LOADER.load(path, Permit(frozenset({"imported_on_load.Model"})))
    assert mark.exists()  # so the file was live


def test_it_is_recognised_by_its_name_or_by_what_is_in_it(tmp_path: Path) -> None:
    path = dumped(tmp_path, [1, 2], "d41d8cd98f00b204")
    assert LOADER.recognises(path, "model")
    other = tmp_path / "other"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("data.pkl", b"")
    assert not LOADER.recognises(other, "model.zip")
    other.write_bytes(b"PK\x03\x04 and no more")
    assert not LOADER.recognises(other, "model")
    assert LOADER.recognises(other, "Model.SKOPS")
    assert not LOADER.recognises(tmp_path, "folder.skops")


def zipped(schema: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", schema)
    return buffer.getvalue()


MALFORMED = {
    "empty": b"",
    "no zip": b"hello",
    "a truncated zip": zipped(b"{}")[:-10],
    "no type": zipped(b"{}"),
    "no JSON": zipped(b"{"),
    "a list": zipped(b"[]"),
    "nested beyond reason": zipped(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "an unknown loader": zipped(b'{"__class__":"a","__module__":"b","__loader__":"c","protocol":2}'),
}


@pytest.mark.parametrize("title", MALFORMED)
def test_a_malformed_file_is_an_error_with_its_name(title: str, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(MALFORMED[title])
    with pytest.raises(UnknownFormatError, match=r"'model\.skops'"):
        LOADER.inspect(path)


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="folder"):
        LOADER.inspect(tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.one_of(st.binary(max_size=200), st.binary(max_size=80).map(zipped)))
@pytest.mark.filterwarnings("ignore")
def test_no_bytes_make_an_inspection_raise_anything_but_a_registry_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.skops"
    path.write_bytes(content)
    LOADER.recognises(path, "random")
    with pytest.raises(RegistryError):
        LOADER.inspect(path)
