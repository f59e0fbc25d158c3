"""The one door to MLflow's client: reads a model registry and brings the files of its versions, and changes nothing there."""

from __future__ import annotations

import logging
import math
import os
import re
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from modelregistry.errors import (
    InvalidInputError,
    MissingBytesError,
    MissingDependencyError,
    ModelNotFoundError,
    UnreachableError,
)
from modelregistry.mlflow.facts import MLflowModel, MLflowRun, MLflowVersion
from modelregistry.urlsecrets import without_secrets

_Answer = TypeVar("_Answer")
_REQUIRES = "mlflow>=3.4"
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///([^?]*)(?:\?.*)?")
_LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]+)/?")
_PAGE = 100
_MOST_DATASETS = 50
_SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # it refuses what it still can read
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # seven, with ever longer pauses, take minutes to say that nobody is there
}
"""How MLflow is to behave while it is called, where the user's environment does not say."""


@contextmanager
def open_mlflow(uri: str | os.PathLike[str], *, tracking_uri: str | None = None) -> Iterator[MLflowRegistry]:
    """The registry at an address, for as long as the body runs.

    A SQLite database is read from a copy: MLflow would bring an older one to its own form.

    Args:
        uri: ``sqlite:///mlflow.db``, the address of a server, that of another database, or the folder of a file store.
        tracking_uri: Where the runs are, if elsewhere.

    Raises:
        InvalidInputError: There is no such file or folder.
        MissingDependencyError: MLflow is not installed, or too old.
        UnreachableError: MLflow can't read it.
    """
    with tempfile.TemporaryDirectory(prefix="modelregistry-mlflow-") as folder, _quietly():
        module = _import_mlflow()
        place = _readable(os.fspath(uri), Path(folder, "registry.db"))
        runs = place if tracking_uri is None else _readable(tracking_uri, Path(folder, "tracking.db"))
        address = without_secrets(os.fspath(uri))
        scheme = urlsplit(place).scheme
        with _pointed_at(module, runs) if scheme == "file" else nullcontext():
            client = _asked(address, lambda: module.MlflowClient(tracking_uri=runs, registry_uri=place))
            yield MLflowRegistry(client, address, runs, is_remote=scheme in ("http", "https"))


@dataclass(frozen=True, slots=True)
class MLflowRegistry:
    """A registry, opened.

    Attributes:
        address: Where it is, without a password.
    """

    _client: Any
    address: str
    _runs: str
    is_remote: bool
    """Whether another machine answers."""
    _experiments: dict[str, str | None] = field(default_factory=dict)

    def models(self, wanted: Collection[str] | None = None) -> list[MLflowModel]:
        """The models, by name, with their versions; prompts are none.

        Args:
            wanted: Only those.

        Raises:
            ModelNotFoundError: One of those is not there.
            UnreachableError: MLflow can't read it.
        """
        names = [model.name for model in self._pages(self._client.search_registered_models, _PAGE)]
        if lost := sorted({*(wanted or ())} - {*names}):
            there = ", ".join(map(repr, sorted(names)[:10])) or "none"
            raise ModelNotFoundError(f"MLflow has no model {lost[0]!r}; it has {there}")
        return [self._model(name) for name in sorted(names) if wanted is None or name in wanted]

    def run_of(self, version: MLflowVersion) -> MLflowRun:
        """What made a version; what can't be told any more is left out, and says so.

        Raises:
            UnreachableError: The server can't be reached.
        """
        run, no_run = self._found(self._client.get_run, version.run_id)
        logged, no_model = self._found(self._client.get_logged_model, version.model_id)
        tags: Mapping[str, str] = run.data.tags if run else {}
        metrics = dict(run.data.metrics) if run else {}
        latest = sorted(logged.metrics or (), key=lambda each: (each.timestamp, each.step)) if logged else ()
        # A logged model has 0 for what is no number.
        metrics |= {
            metric.key: metric.value for metric in latest if math.isfinite(metrics.get(metric.key, 0))
        }
        params = {**(run.data.params if run else {}), **(logged.params if logged else {})}
        return MLflowRun(
            name=run.info.run_name if run else None, experiment=self._experiment(run), metrics=metrics, params=params,
            author=tags.get("mlflow.user") or (run.info.user_id if run else None) or None,
            commit=tags.get("mlflow.source.git.commit"), repository=without_secrets(tags.get("mlflow.source.git.repoURL", "")) or None,
            script=tags.get("mlflow.source.name"), datasets=_datasets(run), lost=no_run or no_model,
        )  # fmt: skip

    def doubt(self, version: MLflowVersion) -> str | None:
        """Why the files of a version can't be brought; None if they can, as far as that is seen without bringing them."""
        try:
            place = self._place(version)
            from mlflow.artifacts import list_artifacts

            found = self._ask(lambda: list_artifacts(artifact_uri=place, tracking_uri=self._runs))
        except (MissingBytesError, UnreachableError) as error:
            return str(error)
        return None if found else f"there are no files at {without_secrets(place)!r}"

    def download(self, version: MLflowVersion, into: Path) -> Path:
        """Bring the files of a version into an empty folder; returns the file or folder.

        Raises:
            MissingBytesError: They can't be had.
        """
        place = self._place(version)
        from mlflow.artifacts import download_artifacts

        try:
            found = Path(
                self._ask(
                    lambda: download_artifacts(
                        artifact_uri=place, dst_path=os.fspath(into), tracking_uri=self._runs
                    )
                )
            )
        except UnreachableError as error:
            raise MissingBytesError(
                f"the files of {version} can't be had: {error}", paths=[str(version)]
            ) from error
        if not found.exists() or (found.is_dir() and not any(path.is_file() for path in found.rglob("*"))):
            raise MissingBytesError(
                f"there are no files of {version} at {without_secrets(place)!r}", paths=[str(version)]
            )
        return found

    def _place(self, version: MLflowVersion) -> str:
        """Where the files of a version are."""
        place: str = self._ask(
            lambda: self._client.get_model_version_download_uri(version.model, str(version.number))
        )
        if logged := _LOGGED_MODEL.fullmatch(place):
            place = self._ask(lambda: self._client.get_logged_model(logged[1]).artifact_location)
        if self.is_remote and urlsplit(place).scheme in ("", "file"):
            # Whoever may write there would choose which files of this machine are given to others.
            raise MissingBytesError(
                f"the server at {self.address!r} says that the files of {version} are on this machine, at {place!r}: "
                "if that is so, open its database instead",
                paths=[str(version)],
            )
        return place

    def _model(self, name: str) -> MLflowModel:
        model = self._ask(lambda: self._client.get_registered_model(name))
        aliases = {str(alias): int(number) for alias, number in (model.aliases or {}).items()}
        versions = [
            _version(each, aliases)
            for each in self._pages(self._client.search_model_versions, _PAGE, _filter(name))
        ]
        versions = sorted((each for each in versions if each.model == name), key=lambda each: each.number)
        return MLflowModel(name, model.description or "", dict(model.tags or {}), aliases, tuple(versions))

    def _experiment(self, run: Any) -> str | None:
        if run is None:
            return None
        key = run.info.experiment_id
        if key not in self._experiments:
            found, _ = self._found(self._client.get_experiment, key)
            self._experiments[key] = found.name if found else None
        return self._experiments[key]

    def _pages(self, search: Callable[..., Any], size: int, text: str | None = None) -> Iterator[Any]:
        token = None
        while True:
            page = self._ask(partial(search, filter_string=text, max_results=size, page_token=token))
            yield from page
            token = page.token
            if not token:
                return

    def _found(self, get: Callable[[str], Any], key: str | None) -> tuple[Any, str | None]:
        """What has that key, if it is still there; else why not."""
        if not key:
            return None, None
        try:
            return self._ask(lambda: get(key)), None
        except UnreachableError as error:
            if _is_gone(error.__cause__):
                return (
                    None,
                    f"{key!r}, which made it, is not in MLflow any more: its metrics and params are unknown",
                )
            raise

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        return _asked(self.address, question)


def _asked(address: str, question: Callable[[], _Answer]) -> _Answer:
    """The answer; whatever MLflow and the libraries below it raise is one error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for who writes there
            return question()
    except ImportError as error:
        raise MissingDependencyError(
            f"MLflow can't read {address!r} here: {error}: pip install '{_REQUIRES}'"
        ) from error
    except Exception as error:
        reason = without_secrets(" ".join(f"{error}".split()))[:300]
        raise UnreachableError(f"MLflow can't read {address!r}: {reason or type(error).__name__}") from error


def _import_mlflow() -> Any:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    try:
        found = version("mlflow-skinny")  # what the whole package has its client of, too
    except PackageNotFoundError:
        found = "none"
    if found == "none" or not Requirement(_REQUIRES).specifier.contains(found, prereleases=True):
        raise MissingDependencyError(
            f"to read MLflow's registry needs {_REQUIRES}, found {found}: pip install '{_REQUIRES}'"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow
            import mlflow.artifacts
    except ImportError as error:
        raise MissingDependencyError(
            f"to read MLflow's registry needs {_REQUIRES} ({error}): pip install '{_REQUIRES}'"
        ) from error
    return mlflow


@contextmanager
def _quietly() -> Iterator[None]:
    """MLflow as a library has it: nothing printed, and no waiting for minutes."""
    before = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update({name: value for name, value in _SETTINGS.items() if before[name] is None})
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


@contextmanager
def _pointed_at(module: Any, runs: str) -> Iterator[None]:
    """A file store asks for the runs where this process has its own, and else makes a database for them."""
    before = module.get_tracking_uri() if module.is_tracking_uri_set() else None
    module.set_tracking_uri(runs)
    try:
        yield
    finally:
        module.set_tracking_uri(before)


def _readable(uri: str, copy: Path) -> str:
    """The address that MLflow is to read; of a SQLite database, a copy.

    Raises:
        InvalidInputError: There is no such file or folder, where MLflow would make one.
    """
    if found := _SQLITE.fullmatch(uri):
        path = Path(unquote(found[1]))
        if not path.is_file():
            raise InvalidInputError(
                f"no database of MLflow's at {os.fspath(path)!r}: a relative path starts from {os.getcwd()!r}"
            )
        try:
            with (
                closing(sqlite3.connect(f"file:{quote(os.fspath(path))}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
                names = {
                    name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                }
        except sqlite3.Error as error:
            raise InvalidInputError(
                f"{os.fspath(path)!r} can't be read as a database of SQLite: {error}"
            ) from error
        if "registered_models" not in names:
            raise InvalidInputError(
                f"{os.fspath(path)!r} is no database of MLflow's: it has no table of registered models"
            )
        return f"sqlite:///{copy}"
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        folder = Path(unquote(parts.path) if parts.scheme else uri).absolute()
        if not (folder / "models").is_dir():
            raise InvalidInputError(
                f"no model registry of MLflow's at {os.fspath(folder)!r}: its folder 'models' is not there"
            )
        return folder.as_uri()
    return uri


def _filter(name: str) -> str | None:
    """What finds the versions of a model; nothing where its name can't be quoted."""
    quotes = [mark for mark in ("'", '"') if mark not in name]
    return f"name={quotes[0]}{name}{quotes[0]}" if quotes else None


def _version(found: Any, aliases: Mapping[str, int]) -> MLflowVersion:
    number = int(found.version)
    logged = _LOGGED_MODEL.fullmatch(found.source or "")
    stage = found.current_stage
    return MLflowVersion(
        model=found.name, number=number, created_at=_moment(found.creation_timestamp),
        updated_at=_moment(found.last_updated_timestamp), author=found.user_id or None,
        description=found.description or "", stage=stage if stage not in (None, "", "None") else None,
        aliases=tuple(sorted(alias for alias, holder in aliases.items() if holder == number)),
        tags=dict(found.tags or {}), status=found.status or "", source=without_secrets(found.source or ""),
        run_id=found.run_id or None, model_id=found.model_id or (logged[1] if logged else None),
    )  # fmt: skip


def _moment(milliseconds: int | None) -> datetime | None:
    """A time of MLflow's."""
    if not milliseconds:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def _datasets(run: Any) -> tuple[Mapping[str, str], ...]:
    taken = getattr(getattr(run, "inputs", None), "dataset_inputs", None) or ()
    taken = taken[:_MOST_DATASETS]
    return tuple({"name": each.dataset.name, "digest": each.dataset.digest} for each in taken)


def _is_gone(error: BaseException | None) -> bool:
    """Whether MLflow said that there is no such thing, rather than nothing at all."""
    return getattr(error, "error_code", None) in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
