"""What a registration learns of a model, and where that is used: at a load, a comparison, a promotion, a conversion."""

from __future__ import annotations

import os
import pickle
import platform
import warnings
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

import modelregistry as mr
from modelregistry import Registry
from modelregistry.metadata.signature import Column, ModelSignature
from tests.integration.projects import commit, write

HERE = {
    "python": platform.python_version(),
    "numpy": version("numpy"),
    "scikit-learn": version("scikit-learn"),
}
OUTPUTS = (Column("predict", "int64"), Column("predict_proba", shape=(None, 2)))


def fitted(*columns: str) -> LogisticRegression:
    features = np.random.default_rng(0).normal(size=(20, len(columns)))
    return LogisticRegression().fit(pd.DataFrame(features, columns=list(columns)), [0, 1] * 10)


def put(folder: Path, model: Any) -> None:
    skops.io.dump(model, folder / "churn.skops")
    commit(folder)


@pytest.fixture
def models(plain: Path) -> Registry:
    """Three versions of ``churn``, the second of which takes a column more, and the third another kind of table."""
    write(plain / "dvc.yaml", "artifacts:\n  churn: {path: churn.skops, type: model}\n")
    found = Registry(plain)
    for columns in (("age", "income"), ("age", "income", "city"), ("income", "age")):
        put(plain, fitted(*columns))
        found.register("churn")
    return found


def test_a_version_tells_its_environment_and_signature(models: Registry) -> None:
    found = models.get("churn@v0.1.0")
    assert HERE.items() <= (found.environment or {}).items()
    assert found.signature == ModelSignature((Column("age"), Column("income")), OUTPUTS)
    assert found.metadata["loader"] == "skops"


def test_a_model_in_dvc_tells_them_too(project: Path) -> None:
    found = Registry(project).register("risk")
    assert HERE.items() <= (found.environment or {}).items()
    assert found.signature is not None
    assert found.signature.inputs == (Column(shape=(None, 4)),)
    assert Registry(project.as_uri()).get("risk").signature == found.signature


def test_what_no_loader_knows_registers_as_it_did(project: Path) -> None:
    registry = Registry(project)
    for name in ("rules", "bundle"):
        found = registry.register(name)
        assert found.metadata.keys() <= {"loader"}
        assert (found.environment, found.signature) == (None, None)


def test_what_the_author_says_is_left_as_it_is(models: Registry, plain: Path) -> None:
    put(plain, fitted("rent"))
    found = models.register("churn", metadata={"environment": "our cluster", "auc": 0.9})
    assert found.metadata["environment"] == "our cluster"
    assert found.environment is None
    assert found.signature is not None
    assert found.metadata["auc"] == 0.9


def test_bytes_that_are_there_already_are_not_examined_again(
    models: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    before = models.get("churn")
    with pytest.warns(mr.RegistryWarning, match="has these bytes already") as caught:
        assert models.register("churn", metadata={"auc": 0.9}) == before
    assert len(caught) == 1


def test_what_others_would_have_to_trust_is_told_once_at_registration(plain: Path) -> None:
    write(plain / "dvc.yaml", "artifacts:\n  odd: {path: odd.pkl}\n")
    write(plain / "odd.pkl", pickle.dumps(Fraction(1, 3)))
    commit(plain)
    registry = Registry(plain)
    with pytest.warns(mr.RegistryWarning) as caught:
        registry.register("odd", dry_run=True)
    (warning,) = caught
    text = str(warning.message)
    assert "\n" not in text
    for part in ("odd@v0.1.0", "'named'", "fractions.Fraction", 'registry.trust("odd@v0.1.0", dry_run=True)'):
        assert part in text
    assert warning.filename == __file__
    with pytest.warns(mr.RegistryWarning, match="unless they trust it"):
        registry.register("odd")
    assert registry.get("odd").metadata == {"loader": "pickle"}


def test_a_damaged_model_registers_and_tells_what_it_can(plain: Path) -> None:
    write(plain / "dvc.yaml", "artifacts:\n  odd: {path: odd.pkl}\n")
    write(plain / "odd.pkl", pickle.dumps(list(range(1000)))[:500])
    commit(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Registry(plain).register("odd").metadata == {"loader": "pickle"}


def test_a_load_elsewhere_says_in_one_line_what_differs(models: Registry) -> None:
    models.annotate(
        "churn",
        "v0.1.0",
        {"environment": {"python": "2.7.18", "scikit-learn": "0.24.2", "numpy": HERE["numpy"]}},
    )
    with pytest.warns(mr.EnvironmentMismatchWarning) as caught:
        models.get("churn@v0.1.0").load()
    (warning,) = caught
    assert str(warning.message).startswith(
        f"churn@v0.1.0 was made with python 2.7.18 (here {HERE['python']}), "
        f"scikit-learn 0.24.2 (here {HERE['scikit-learn']})"
    )
    assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.get("churn@v0.1.1").load()


# -- compare and promote -----------------------------------------------------------------------------------


def test_compare_says_why_a_candidate_can_not_stand_in(models: Registry) -> None:
    models.promote("churn", "v0.1.0", "current")
    found = models.compare("churn#current", "churn@v0.1.1")
    assert found.verdict.startswith("incompatible: churn@v0.1.1 can't stand in for churn@v0.1.0")
    assert found.incompatibilities == ("input 'city' is needed and was not",)
    assert models.compare("churn#current", models.get("churn")).verdict.startswith("compatible")
    with pytest.raises(mr.VersionNotFoundError):
        models.compare("churn", "churn@v9.0.0")
    with pytest.raises(mr.InvalidReferenceError):
        models.compare("churn", "churn@")


def test_a_candidate_that_can_not_stand_in_is_promoted_with_a_warning(models: Registry) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.promote("churn", "v0.1.0", "current")  # nobody held it
        models.promote("churn", "v0.1.2", "current")
        models.promote("churn", "v0.1.2", "current")
        models.rollback("churn", "current")
    with pytest.warns(mr.RegistryWarning, match="'city' is needed and was not") as caught:
        models.promote("churn", "v0.1.1", "current", dry_run=True)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "\n" not in str(caught[0].message)
    with pytest.warns(mr.RegistryWarning, match=r"can't stand in for churn@v0\.1\.0, which held 'current'"):
        assert models.promote("churn", "v0.1.1", "current").state == "current"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.rollback("churn", "current")  # back is back


def test_versions_that_stand_side_by_side_are_not_held_against_each_other(
    models: Registry, plain: Path
) -> None:
    write(plain / ".modelregistry.toml", "[stages]\ncanary = { exclusive = false }\n")
    commit(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.promote("churn", "v0.1.0", "canary")
        models.promote("churn", "v0.1.1", "canary")


# -- convert -----------------------------------------------------------------------------------------------


def test_a_version_is_converted_within_the_trust_of_the_caller(plain: Path, tmp_path: Path) -> None:
    write(plain / "dvc.yaml", "artifacts:\n  odd: {path: odd.pkl}\n")
    write(plain / "odd.pkl", pickle.dumps([Fraction(1, 3), fitted("age")]))
    commit(plain)
    registry = Registry(plain)
    with pytest.warns(mr.RegistryWarning):
        version = registry.register("odd")
    with pytest.raises(mr.UntrustedModelError):
        version.convert(tmp_path, format="skops")
    assert not list(tmp_path.glob("*.skops"))
    path = version.convert(tmp_path, format="skops", trust="code")
    assert path == tmp_path / "odd.skops"
    with pytest.raises(mr.InvalidInputError, match="'skops' or 'onnx'"):  # before anything is loaded
        version.convert(tmp_path, format="pickle")


@pytest.mark.parametrize("to", ["skops", "onnx"])
def test_a_converted_model_can_be_registered_and_answers_the_same(
    to: str, models: Registry, plain: Path
) -> None:
    version = models.get("churn@v0.1.0")
    sample = pd.DataFrame({"age": [1.5, -2.5, 0.1], "income": [0.2, 3.0, -1.0]})
    (plain / "out").mkdir()
    path = version.convert(os.fspath(plain / "out"), format=to, example=sample)
    assert path == plain / "out" / f"churn.{to}"
    write(plain / "dvc.yaml", f"artifacts:\n  converted: {{path: out/churn.{to}}}\n")
    commit(plain)
    wanted = version.load().predict(sample).tolist()  # type: ignore[attr-defined]
    again: Any = models.register("converted").load()
    if to == "skops":
        assert again.predict(sample).tolist() == wanted
    else:
        assert again.run(None, {"X": sample.to_numpy()})[0].tolist() == wanted
