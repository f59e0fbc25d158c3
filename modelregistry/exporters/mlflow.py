"""MLflow's folders: the artifact as it is, and beside it what ``mlflow.pyfunc.load_model`` loads it by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from modelregistry.errors import ExportError
from modelregistry.exporters import mlmodel
from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source, artifact_files

_JOBLIB = "modelregistry_joblib"
_JOBLIB_CODE = b'''"""Loads a joblib file for MLflow, which has no flavor of its own for it."""

import joblib


class Model:
    def __init__(self, model):
        self._model = model

    def get_raw_model(self):
        return self._model

    def predict(self, data, params=None):
        return self._model.predict(data)


def _load_pyfunc(path):
    return Model(joblib.load(path))
'''
_CODE = "code.zip"
"""A zip, because Python leaves compiled code beside what it imports from a folder, and the export would not be whole then."""
_XGBOOST_ESTIMATOR = re.compile(rb'_estimator_type\\?":\s*\\?"(classifier|regressor|ranker)')
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class _Model:
    """The one file that holds the model."""

    source: Source
    file: Path
    path: str
    """Where it is to be in the folder."""

    def made_with(self, *distributions: str) -> str | None:
        """The version of the first of the distributions that the registration says it was made with."""
        environment = mlmodel.environment_of(self.source)
        return next((environment[name] for name in distributions if name in environment), None)


@dataclass(frozen=True, slots=True)
class _Loading:
    """How MLflow loads a model."""

    pyfunc: Mapping[str, Any]
    """By ``mlflow.pyfunc``."""
    needs: tuple[str, ...]
    """The distributions that this takes."""
    flavors: Mapping[str, Mapping[str, Any]]
    """By its library's own door, where MLflow has one."""


class MLflowExporter(Exporter):
    """A folder that MLflow loads; one of MLflow's own is left as it is.

    It is written without MLflow: ``MLmodel`` is YAML. The files of the artifact are the registered ones, so what MLflow
    runs to load them (a pickle, say) is what it would run of any such file.
    """

    name: ClassVar[str] = "mlflow"

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        """The artifact, ``MLmodel``, and the files by which MLflow makes an environment for it.

        Raises:
            ExportError: MLflow has nothing that loads such an artifact.
        """
        if source.is_directory and any(file.path == mlmodel.MLMODEL for file in source.files):
            return Arrangement(artifact_files(source), artifact=".")
        model = _model_in(source)
        loading = _loading(model)
        texts = mlmodel.files(source, loading.pyfunc, loading.flavors, loading.needs)
        if "code" in loading.pyfunc:
            texts[_CODE] = mlmodel.zipped(f"{_JOBLIB}.py", _JOBLIB_CODE)
        files = [ExportFile(name, text) for name, text in texts.items()]
        artifact = source.name
        return Arrangement(
            (*artifact_files(source, artifact if source.is_directory else ""), *files), artifact
        )


def _model_in(source: Source) -> _Model:
    """The file of the model.

    Raises:
        ExportError: There are several.
    """
    if len(source.files) != 1:
        raise ExportError(
            f"{source.version.reference} is a folder of {len(source.files)} files, and none of MLflow's: format='mlflow' "
            "takes one file of a model, or a folder that MLflow wrote; format='folder' takes any"
        )
    only = source.files[0]
    path = f"{source.name}/{only.path}" if source.is_directory else source.name
    return _Model(source, source.local(only), path)


def _loading(model: _Model) -> _Loading:
    loader = model.source.loader or _BY_SUFFIX.get(Path(model.path).suffix, "")
    known = _LOADERS.get(loader)
    if known is None:
        what = f"by loader {loader!r}" if loader else "by a loader that nobody recorded"
        raise ExportError(
            f"{model.source.version.reference} is read {what}; format='mlflow' takes what these read: "
            f"{', '.join(sorted(_LOADERS))}; format='folder' takes any"
        )
    return known(model)


def _skops(model: _Model) -> _Loading:
    # What skops does not trust by itself is for who loads it to allow, never for the file to say.
    return _sklearn(model, "skops", "skops")


def _pickle(model: _Model) -> _Loading:
    return _sklearn(model, "pickle")


def _sklearn(model: _Model, format_: str, *needs: str) -> _Loading:
    return _Loading(
        {"loader_module": "mlflow.sklearn", "model_path": model.path, "predict_fn": "predict"},
        ("scikit-learn", *needs),
        {"sklearn": {
            "pickled_model": model.path, "serialization_format": format_, "sklearn_version": model.made_with("scikit-learn"),
        }},
    )  # fmt: skip


def _joblib(model: _Model) -> _Loading:
    """MLflow reads pickles, and a joblib file is more than one: a few lines of code go along."""
    pyfunc = {"loader_module": _JOBLIB, "data": model.path, "code": _CODE}
    return _Loading(pyfunc, ("joblib", "scikit-learn"), {})


def _xgboost(model: _Model) -> _Loading:
    with model.file.open("rb") as opened:
        head = opened.read(_HEAD)
    suffix = ".ubj" if head.startswith(b"{L\0") else ".json"
    if not model.path.endswith(suffix):
        raise ExportError(
            f"XGBoost goes by the suffix of a file, and the format of {model.path!r} is that of {suffix!r}: "
            f"format='mlflow' takes it once it is called so"
        )
    kind = _XGBOOST_ESTIMATOR.search(head)
    class_ = f"xgboost.sklearn.XGB{kind[1].decode().capitalize()}" if kind else "xgboost.core.Booster"
    return _Loading(
        {"loader_module": "mlflow.xgboost", "data": model.path},
        ("xgboost", "scikit-learn") if kind else ("xgboost",),
        {"xgboost": {
            "data": model.path, "model_class": class_, "model_format": suffix[1:],
            "xgb_version": model.made_with("xgboost", "xgboost-cpu"),
        }},
    )  # fmt: skip


def _lightgbm(model: _Model) -> _Loading:
    return _Loading(
        {"loader_module": "mlflow.lightgbm", "data": model.path},
        ("lightgbm",),
        {"lightgbm": {
            "data": model.path, "model_class": "lightgbm.basic.Booster", "lgb_version": model.made_with("lightgbm"),
        }},
    )  # fmt: skip


def _onnx(model: _Model) -> _Loading:
    return _Loading(
        {"loader_module": "mlflow.onnx", "data": model.path},
        ("onnx", "onnxruntime"),
        {"onnx": {"data": model.path, "onnx_version": model.made_with("onnx")}},
    )


_LOADERS: Mapping[str, Callable[[_Model], _Loading]] = {
    "joblib": _joblib,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "pickle": _pickle,
    "skops": _skops,
    "xgboost": _xgboost,
}
_BY_SUFFIX = {
    ".joblib": "joblib",
    ".onnx": "onnx",
    ".pickle": "pickle",
    ".pkl": "pickle",
    ".skops": "skops",
    ".ubj": "xgboost",
}
"""The loaders of files that were registered without one."""
