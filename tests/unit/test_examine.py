"""What a registration learns of bytes: nothing of them is run, and nothing that goes wrong is an error."""

import fractions
import logging
import os
import pickle
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from modelregistry.errors import MissingBytesError, MissingDependencyError, UnknownFormatError
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
)
from modelregistry.loaders.pickles import JoblibLoader, PickleLoader
from modelregistry.loaders.skops import SkopsLoader
from modelregistry.loading.examine import MOST_TRIED, Examined, examine, what_it_needs
from modelregistry.metadata.signature import Column, ModelSignature

LOADERS = (SkopsLoader(), JoblibLoader(), PickleLoader())
FEATURES, TARGET = np.arange(40.0).reshape(20, 2), np.array([0, 1] * 10)


def look(path: Path, *, loaders: tuple[Loader, ...] = LOADERS, size: int | None = None) -> Examined | None:
    return examine(
        lambda: path, path.name, size=path.stat().st_size if size is None else size, loaders=lambda _: loaders
    )


def pickled(folder: Path, value: object) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(value))
    return path


def test_a_confined_model_tells_its_loader_its_environment_and_its_signature(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    frame = pd.DataFrame(FEATURES, columns=["age", "income"])
    skops.io.dump(LogisticRegression().fit(frame, TARGET), path)
    found = look(path)
    assert found is not None
    assert found.obstacle("churn@v0.1.0") is None
    metadata = found.to_metadata()
    assert metadata["loader"] == "skops"
    assert metadata["signature"] == {
        "inputs": [{"name": "age"}, {"name": "income"}],
        "outputs": [{"name": "predict", "type": "int64"}, {"name": "predict_proba", "shape": [None, 2]}],
    }
    for name in ("numpy", "scikit-learn"):
        assert found.environment[name] == version(name)
    assert found.environment["python"] == platform.python_version()
    assert metadata["environment"] == found.environment


def test_what_needs_trust_is_not_built_and_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(DecisionTreeClassifier().fit(FEATURES, TARGET), path)
    found = look(path)
    assert found is not None
    assert found.signature is None
    assert found.environment["scikit-learn"] == version("scikit-learn")
    told = found.obstacle("churn@v0.1.0")
    assert told is not None
    assert "\n" not in told
    for part in ("churn@v0.1.0", "'named'", "sklearn.tree._tree.Tree", 'registry.trust("churn@v0.1.0"'):
        assert part in told


class Touching:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def test_nothing_of_the_bytes_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = pickled(tmp_path, Touching(mark))
    found = look(path)
    assert found is not None
    assert found.needed == Inspection(Tier.NAMED, (f"{os.system.__module__}.system",))
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()  # it would have


def test_several_names_are_counted_and_a_hostile_one_can_not_write_to_the_terminal(tmp_path: Path) -> None:
    found = look(pickled(tmp_path, [fractions.Fraction(1, 3), range(3)]))
    assert found is not None
    assert "2 names, builtins.range for one" in str(found.obstacle("churn@v0.1.0"))
    hostile = Examined("pickle", needed=Inspection(Tier.NAMED, ("\x1b[2J\n" + "x" * 10_000,)))
    told = str(hostile.obstacle("churn@v0.1.0"))
    assert "\x1b" not in told
    assert "\n" not in told
    assert len(told) < 1000


class Told(Loader):
    """A loader that answers what it is told, or raises it."""

    name = "told"

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.loaded: list[Permit] = []

    def _answer(self, what: str, default: object) -> object:
        answer = self.answers.get(what, default)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def recognises(self, path: Path, name: str) -> Likeness:
        return self._answer("recognises", Likeness.MAGIC)  # type: ignore[return-value]

    def inspect(self, path: Path) -> Inspection:
        return self._answer("inspect", Inspection(Tier.CONFINED))  # type: ignore[return-value]

    def describe(self, path: Path) -> Description:
        return self._answer("describe", Description())  # type: ignore[return-value]

    def describe_object(self, model: object) -> ModelSignature | None:
        return self._answer("describe_object", None)  # type: ignore[return-value]

    def load(self, path: Path, permit: Permit) -> object:
        self.loaded.append(permit)
        return self._answer("load", "a model")


ONE, OTHER = ModelSignature((Column("one"),)), ModelSignature((Column("other"),))


@pytest.mark.parametrize("tier", Tier)
def test_only_what_is_confined_is_tried_out_and_with_no_permit(tier: Tier, tmp_path: Path) -> None:
    loader = Told(inspect=Inspection(tier), describe_object=ONE)
    found = look(pickled(tmp_path, 1), loaders=(loader,))
    assert found is not None
    assert loader.loaded == ([Permit()] if tier is Tier.CONFINED else [])
    assert found.signature == (ONE if tier is Tier.CONFINED else None)
    assert (found.obstacle("churn@v0.1.0") is not None) == (tier >= Tier.NAMED)


def test_what_the_file_tells_comes_before_what_the_object_tells(tmp_path: Path) -> None:
    loader = Told(describe=Description(ONE), describe_object=OTHER)
    found = look(pickled(tmp_path, 1), loaders=(loader,))
    assert found is not None
    assert found.signature == ONE


def test_a_name_that_only_the_trial_meets_is_told(tmp_path: Path) -> None:
    found = look(pickled(tmp_path, 1), loaders=(Told(load=UntrustedNamesError(("mypkg.Late",))),))
    assert found is not None
    assert found.needed == Inspection(Tier.NAMED, ("mypkg.Late",))
    assert "mypkg.Late" in str(found.obstacle("churn@v0.1.0"))


def test_of_a_very_large_file_only_the_head_is_read(tmp_path: Path) -> None:
    loader = Told(inspect=AssertionError("looked through"), describe=Description(ONE))
    found = look(pickled(tmp_path, 1), loaders=(loader,), size=MOST_TRIED + 1)
    assert found == Examined("told", {}, ONE, None)
    assert loader.loaded == []


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("odd"), MemoryError(), RecursionError(), UnknownFormatError("odd"),
        MissingDependencyError("odd"), OSError("gone"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("where", ["recognises", "inspect", "describe", "describe_object", "load"])
def test_whatever_goes_wrong_is_logged_and_no_error(
    where: str, error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="modelregistry")
    found = look(pickled(tmp_path, 1), loaders=(Told(**{where: error}),))
    assert (found is None) == (where == "recognises")
    assert found is None or found.to_metadata() == {"loader": "told"}
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def refuse() -> Path:
    raise MissingBytesError("nowhere", paths=[])


@pytest.mark.parametrize("bring", [lambda: None, refuse])
def test_bytes_that_are_not_here_tell_nothing(bring: Callable[[], Path | None]) -> None:
    assert examine(bring, "model.pkl", size=0, loaders=lambda _: LOADERS) is None


def test_a_file_that_no_loader_knows_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text("{}")
    assert look(path) is None


def test_warnings_of_the_trial_are_for_who_loads_it(tmp_path: Path) -> None:
    class Warns(Told):
        def load(self, path: Path, permit: Permit) -> object:
            warnings.warn("made with another version", stacklevel=2)
            return 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = look(pickled(tmp_path, 1), loaders=(Warns(describe_object=ONE),))
    assert found is not None
    assert found.signature == ONE


class Versions(Told):
    distributions = ("numpy", "no-such-distribution")


def test_what_is_installed_here_joins_what_the_file_says_unless_it_was_made_elsewhere(tmp_path: Path) -> None:
    path = pickled(tmp_path, 1)
    here = {"python": platform.python_version(), "numpy": version("numpy")}
    for packages, expected in [
        ({}, here),
        ({"pytest": version("pytest")}, here | {"pytest": version("pytest")}),
        ({"pytest": "0.1"}, {"pytest": "0.1"}),
        ({"no-such-distribution": "1.0"}, {"no-such-distribution": "1.0"}),
    ]:
        found = look(path, loaders=(Versions(describe=Description(packages=packages)),))
        assert found is not None
        assert found.environment == expected


def test_a_format_of_no_library_has_no_environment(tmp_path: Path) -> None:
    found = look(pickled(tmp_path, 1))
    assert found is not None
    assert found.to_metadata() == {"loader": "pickle"}


def test_what_is_too_large_or_no_text_is_left_out() -> None:
    wide = ModelSignature(tuple(Column(f"column {number}" * 20) for number in range(200)))
    assert Examined("told", signature=wide).to_metadata() == {"loader": "told"}
    odd = ModelSignature((Column("\ud800"),))
    assert Examined("told", signature=odd).to_metadata() == {"loader": "told"}


def test_what_can_not_be_seen_without_running_it_may_run_anything(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02\x82\xf1.")
    assert what_it_needs(path, "model.pkl", loaders=LOADERS) == ("pickle", Inspection(Tier.CODE))
    with pytest.raises(UnknownFormatError, match="no loader"):
        what_it_needs(path, "model.h5", loaders=LOADERS[:1])
