"""The choke point: what is loaded, what is refused, and what the refusal says."""

import fractions
import logging
import os
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.tree import DecisionTreeClassifier

from modelregistry.errors import UnknownFormatError, UntrustedModelError
from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier, UntrustedNamesError
from modelregistry.loaders.pickles import JoblibLoader, PickleLoader
from modelregistry.loaders.skops import SkopsLoader
from modelregistry.loading.deserialize import deserialize
from modelregistry.trust.trust import Ledger, Trust, Vouching

DIGEST = "sha256:" + "ab" * 32
LOADERS = (SkopsLoader(), JoblibLoader(), PickleLoader())


def load(
    path: Path,
    name: str | None = None,
    *,
    trust: object = None,
    made_here: bool = False,
    loader: str | None = None,
    loaders: tuple[Loader, ...] = LOADERS,
    digest: str = DIGEST,
) -> object:
    if made_here:
        Ledger().add(digest)
    else:
        Ledger().path.unlink(missing_ok=True)
    return deserialize(
        path,
        name or path.name,
        digest=digest,
        reference="churn@v1.2.0",
        loaders=loaders,
        loader=loader,
        trust=Vouching(Trust.parse(trust)),  # type: ignore[arg-type]
    )


class Touching:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def pickled(folder: Path, value: object, name: str = "model.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(value))
    return path


def test_plain_values_load_without_trust(tmp_path: Path) -> None:
    assert load(pickled(tmp_path, {"a": [1, 2]})) == {"a": [1, 2]}


@pytest.mark.parametrize("suffix", ["pkl", "joblib"])
def test_a_joblib_file_loads_under_either_suffix(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{suffix}"
    joblib.dump({"a": np.arange(3)}, path)
    loaded = load(path)
    assert isinstance(loaded, dict)
    assert loaded["a"].tolist() == [0, 1, 2]


def test_hostile_bytes_run_only_with_code(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = pickled(tmp_path, Touching(mark))
    system = f"{os.system.__module__}.system"
    for trust in (None, ["mypkg.Clipper"], ["sha256:" + "cd" * 32]):
        with pytest.raises(UntrustedModelError) as caught:
            load(path, trust=trust)
        assert caught.value.names == (system,)
        assert not mark.exists()
    for allowed in ({"trust": "code"}, {"trust": [DIGEST]}, {"trust": [system]}, {"made_here": True}):
        load(path, **allowed)  # type: ignore[arg-type]
        assert mark.exists()
        mark.unlink()


def test_a_refusal_says_what_was_found_why_and_what_to_paste(tmp_path: Path) -> None:
    path = pickled(tmp_path, [fractions.Fraction(1, 3), range(3)])
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    error = caught.value
    assert error.names == ("builtins.range", "fractions.Fraction")
    assert (error.tier, error.digest) == ("named", DIGEST)
    assert error.remedies[:4] == (
        'trust=["builtins.range", "fractions.Fraction"]',
        f'trust=["{DIGEST}"]',
        'registry.trust("churn@v1.2.0")',
        'trust="code"',
    )
    assert "skops" in error.remedies[4]
    text = str(error)
    for part in ("churn@v1.2.0", "'named'", DIGEST, "not made on this machine", "no trust was given"):
        assert part in text
    for part in (*error.names, *error.remedies):
        assert f"\n    {part}" in text
    for remedy in (each for each in error.remedies if each.startswith("trust=")):
        _, _, argument = remedy.partition("=")
        assert load(path, trust=eval(argument)) == [fractions.Fraction(1, 3), range(3)]


def test_a_refusal_names_what_is_missing_and_its_line_keeps_what_was_given(tmp_path: Path) -> None:
    path = pickled(tmp_path, [fractions.Fraction(1, 3), range(3)])
    with pytest.raises(UntrustedModelError, match="does not cover") as caught:
        load(path, trust=["fractions.Fraction"])
    assert caught.value.names == ("builtins.range",)
    assert caught.value.remedies[0] == 'trust=["builtins.range", "fractions.Fraction"]'


def asking_for(names: list[str]) -> bytes:
    return (
        b"\x80\x04"
        + b"".join(
            pickle.dumps("some_package", 2)[2:-1] + pickle.dumps(name, 2)[2:-1] + b"\x930" for name in names
        )
        + b"N."
    )


def test_a_refusal_lists_twenty_names_and_the_error_has_them_all(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(asking_for([f"Name{number:02}" for number in range(33)]))
    with pytest.raises(UntrustedModelError, match="and 13 more") as caught:
        load(path)
    assert len(caught.value.names) == 33
    lines = str(caught.value).splitlines()
    assert sum(line.startswith("    some_package.Name") for line in lines) == 20
    assert caught.value.remedies[0].count("some_package.") == 33


def test_a_hostile_name_can_not_write_to_the_terminal_or_flood_it(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(asking_for(["\x1b[2Jfake\nmessage", "x" * 1_000_000]))
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    text = str(caught.value)
    assert "\x1b" not in text
    assert "fake\nmessage" not in text
    assert len(text) < 5000
    assert len(caught.value.names) == 2


def test_skops_types_are_asked_for_and_skops_is_not_recommended_to_itself(tmp_path: Path) -> None:
    model = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    assert caught.value.names == ("sklearn.tree._tree.Tree",)
    assert not any("skops" in remedy for remedy in caught.value.remedies)
    assert isinstance(load(path, trust=["sklearn.tree._tree.Tree"]), DecisionTreeClassifier)
    assert isinstance(load(path, made_here=True), DecisionTreeClassifier)


def test_a_digest_that_forgers_can_match_is_no_remedy(tmp_path: Path) -> None:
    with pytest.raises(UntrustedModelError) as caught:
        load(pickled(tmp_path, range(3)), digest="md5:d41d8cd98f00b204e9800998ecf8427e")
    assert not any("md5" in remedy or "registry" in remedy for remedy in caught.value.remedies)


@pytest.mark.parametrize("made_here", [True, False])
def test_a_load_that_may_run_code_is_logged_and_others_are_not(
    made_here: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="modelregistry")
    path = pickled(tmp_path, [1])
    load(path)
    assert caplog.records == []
    load(path, made_here=made_here, trust=None if made_here else "code")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("modelregistry", logging.INFO)
    assert "churn@v1.2.0" in record.getMessage()
    assert DIGEST in record.getMessage()


# ------------------------------------------------------------------ which loader


def test_a_file_nobody_recognises_says_what_it_is_and_how_to_name_a_loader(tmp_path: Path) -> None:
    for content, looks in (
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"PK\x03\x04", "a zip"),
        (b"", "is empty"),
        (b"abc", "b'abc'"),
        (b"\x80\x02", "a pickle"),
    ):
        path = tmp_path / "d41d8c"
        path.write_bytes(content)
        with pytest.raises(UnknownFormatError) as caught:
            load(path, "models/churn.h5")
        text = str(caught.value)
        for part in ("models/churn.h5", looks, "'skops'", "'joblib'", "'pickle'", "loader="):
            assert part in text


def test_a_folder_nobody_recognises_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="is a folder"):
        load(tmp_path, "models/churn")
    with pytest.raises(UnknownFormatError, match="is a folder"):
        load(tmp_path, "models/churn", loaders=())


def test_a_file_two_recognise_is_refused_until_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    skops.io.dump([1], path)
    path.write_bytes(pickle.dumps([2]) + path.read_bytes())
    with pytest.raises(UnknownFormatError, match="'skops' and 'pickle'"):
        load(path)
    assert load(path, loader="pickle") == [2]
    assert load(path, loader="skops") == [1]


def test_a_loader_that_is_named_reads_whatever_the_file_is_called(tmp_path: Path) -> None:
    assert load(pickled(tmp_path, [1], "model.dat"), loader="pickle") == [1]
    with pytest.raises(UnknownFormatError, match=r"no loader is called 'torch'.*'joblib'"):
        load(pickled(tmp_path, [1]), loader="torch")


# ------------------------------------------------------------------ errors and other tiers


def test_an_error_of_a_trusted_load_arrives_as_it_is_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cfractions\nNoSuchName\n.")
    for trust in ("code", ["fractions.NoSuchName"]):
        with pytest.raises(AttributeError, match="NoSuchName") as caught:
            load(path, trust=trust)
        assert any("churn@v1.2.0" in note and DIGEST in note for note in caught.value.__notes__)


def test_a_malformed_file_says_for_which_reference(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04R.")
    with pytest.raises(UnknownFormatError) as caught:
        load(path)
    assert any("churn@v1.2.0" in note for note in caught.value.__notes__)


def test_a_pickle_that_allows_no_inspection_still_loads_with_code(tmp_path: Path) -> None:
    import copyreg

    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02\x82\xf1.")
    copyreg.add_extension("fractions", "Fraction", 241)
    try:
        with pytest.raises(UnknownFormatError, match="extension"):
            load(path)
        assert load(path, trust="code") is fractions.Fraction
    finally:
        copyreg.remove_extension("fractions", "Fraction", 241)
        copyreg.clear_extension_cache()


class Told(Loader):
    """A loader that finds what it is told, and at load asks for more than it said."""

    name = "told"

    def __init__(self, found: Inspection, *, asks: tuple[str, ...] = ()) -> None:
        self.found = found
        self.asks = asks

    def recognises(self, path: Path, name: str) -> Likeness:
        return Likeness.MAGIC

    def inspect(self, path: Path) -> Inspection:
        return self.found

    def load(self, path: Path, permit: Permit) -> object:
        if not permit.code and (refused := tuple(name for name in self.asks if name not in permit.names)):
            raise UntrustedNamesError(refused)
        return permit


def test_data_loads_and_code_needs_code(tmp_path: Path) -> None:
    path = pickled(tmp_path, 1)
    assert load(path, loaders=(Told(Inspection(Tier.DATA)),)) == Permit()
    code = (Told(Inspection(Tier.CODE)),)
    with pytest.raises(UntrustedModelError) as caught:
        load(path, trust=["mypkg.Clipper"], loaders=code)
    assert caught.value.tier == "code"
    assert caught.value.remedies[0] == f'trust=["{DIGEST}"]'
    assert load(path, trust=[DIGEST], loaders=code) == Permit(code=True)


def test_names_that_turn_up_only_while_loading_are_refused_too(tmp_path: Path) -> None:
    path = pickled(tmp_path, 1)
    late = (Told(Inspection(Tier.CONFINED), asks=("mypkg.Late",)),)
    with pytest.raises(UntrustedModelError) as caught:
        load(path, loaders=late)
    assert (caught.value.names, caught.value.tier) == (("mypkg.Late",), "named")
    assert isinstance(caught.value.__cause__, UntrustedNamesError)
    assert load(path, loaders=late, trust=["mypkg.Late"]) == Permit(frozenset({"mypkg.Late"}))


def test_importing_the_choke_point_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys, modelregistry.loading.deserialize, modelregistry.loaders.pickles, modelregistry.loaders.skops\n"
        "print(sorted({'numpy', 'joblib', 'sklearn', 'skops', 'skops.io'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
