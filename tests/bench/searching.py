"""Rows about searches: by what DVC recorded, and by what the log says, beside MLflow's two searches on SQLite.

Imported last, and by what measures this alone: MLflow would weigh on the other rows.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag
from mlflow.store.tracking.dbmodels.models import (
    SqlLoggedModel,
    SqlLoggedModelMetric,
    SqlLoggedModelParam,
    SqlLoggedModelTag,
)

from modelregistry import Registry, migrate, open_backend
from modelregistry.config import cache_folder
from tests.bench.measure import Row, in_turn
from tests.bench.registries import model_name
from tests.bench.trained import TEAMS, auc, make_repository

VERSIONS_OF_A_MODEL = 50
QUERY = "metadata.team == 'risk' and stage == 'current'"
_AT_ONCE = 2_000
_TOP = 10


def measure(folder: Path, versions: int, *, repeats: int) -> list[Row]:
    """Everything about searches."""
    root = make_repository(folder / "searched", versions, VERSIONS_OF_A_MODEL)
    client = _make_mlflow(folder / "mlflow.db", versions)
    best = partial(_best, root)
    theirs = partial(_their_best, client)
    _check(best(), theirs(), versions)
    cold, peer = in_turn(repeats, best, theirs, before=_forget)
    warm, _ = in_turn(repeats, best, theirs)
    registry = Registry(root)
    again, _ = in_turn(repeats, partial(_top, registry), theirs)
    of_one, _ = in_turn(repeats, partial(_top, registry, name=model_name(3)), theirs)
    told = partial(registry.search, QUERY)
    said = partial(_all_of_team, client)
    assert len(told()) == versions // VERSIONS_OF_A_MODEL // len(TEAMS)
    assert len(said()) == versions // len(TEAMS)
    log, tags = in_turn(repeats, told, said)
    address = _make_database(root, folder / "log.db")
    in_sql = partial(_selected, root, address)
    assert len(in_sql()) == versions // VERSIONS_OF_A_MODEL // len(TEAMS)
    asked, all_tags = in_turn(repeats, in_sql, said)
    one = partial(_selected, root, address, f"digest == 'sha256:{7:064x}'")
    assert len(one()) == 1
    of_bytes, _ = in_turn(repeats, one, said)
    logged, versioned = "`search_logged_models`, the same ten, by SQL", "`search_model_versions`, by tag"
    what = f"`search('metrics.auc > 0.9', sort='-metrics.auc', limit={_TOP})`, {versions:,} versions"
    return [
        Row(f"{what}, the first time", cold, logged, peer, most=4),
        Row("the same, remembered by an earlier process", warm, logged, peer, most=1),
        Row("the same, once more by an open `Registry`", again, logged, peer, most=0.25),
        Row(f"the same of one model of {VERSIONS_OF_A_MODEL} versions", of_one, logged, peer, most=0.1),
        Row(f'`search("{QUERY}")`', log, versioned, tags, most=0.5),
        Row("the same, the log in SQLite, by a `Registry` just opened", asked, versioned, all_tags, most=0.5),
        Row("the version with some bytes, by its digest, likewise", of_bytes, most=0.3),
    ]


def _make_database(root: Path, file: Path) -> str:
    """The same log in SQLite."""
    address = f"sqlite:///{file}"
    migrate(address)
    Registry(root).copy_log(open_backend(address))
    return address


def _selected(root: Path, address: str, query: str = QUERY) -> list[str]:
    """What a registry finds that was just opened, its log in a database."""
    return [version.reference for version in Registry(root, backend=open_backend(address)).search(query)]


def _forget() -> None:
    shutil.rmtree(cache_folder() / "measured", ignore_errors=True)


def _best(root: Path) -> list[float]:
    return _top(Registry(root))


def _top(registry: Registry, **options: Any) -> list[float]:
    found = registry.search("metrics.auc > 0.9", sort="-metrics.auc", limit=_TOP, **options)
    return [row["metrics.auc"] for row in found.to_dicts()]


def _their_best(client: MlflowClient) -> list[float]:
    order = [{"field_name": "metrics.auc", "ascending": False}]
    found = client.search_logged_models(["0"], "metrics.auc > 0.9", max_results=_TOP, order_by=order)
    return [metric.value for model in found for metric in model.metrics if metric.key == "auc"]


def _all_of_team(client: MlflowClient) -> list[Any]:
    return [*client.search_model_versions("tag.team = 'risk'", max_results=10_000)]


def _check(ours: list[float], theirs: list[float], versions: int) -> None:
    """Both have found the same."""
    assert ours == theirs == sorted(map(auc, range(versions)), reverse=True)[:_TOP]


# -- theirs ------------------------------------------------------------------------------------------------


def _make_mlflow(file: Path, versions: int) -> MlflowClient:
    """As many logged models and model versions in MLflow; the first is written by its client, the others are its copies."""
    address = f"sqlite:///{file}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    name = model_name(0)
    client.create_registered_model(name)
    client.create_model_version(name, source="file:///models/0", tags={"team": TEAMS[0]})
    run = client.create_run("0")
    model = client.create_logged_model("0", name, source_run_id=run.info.run_id, params={"depth": "0"})
    for key, value in {"auc": auc(0), "loss": 0.0}.items():
        client.log_metric(run.info.run_id, key, value, model_id=model.model_id)
    client.finalize_logged_model(model.model_id, "READY")
    engine = sa.create_engine(address)
    for cls in (SqlLoggedModel, SqlLoggedModelMetric, SqlLoggedModelParam, SqlLoggedModelTag, SqlModelVersion, SqlModelVersionTag):  # fmt: skip
        _copy_rows(engine, cls.__table__, versions)
    for number in range(1, versions // VERSIONS_OF_A_MODEL):
        client.create_registered_model(model_name(number))
    engine.dispose()
    return client


def _copy_rows(engine: sa.Engine, table: sa.Table, versions: int) -> None:
    with engine.connect() as connection:
        kept = [dict(row._mapping) for row in connection.execute(table.select())]
    for start in range(1, versions, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, versions))
        rows = [row | _changed(row, number) for number in numbers for row in kept]
        if rows:
            with engine.begin() as connection:
                connection.execute(table.insert(), rows)


def _changed(row: dict[str, Any], number: int) -> dict[str, Any]:
    """What of a row is another in its copy."""
    model, position = divmod(number, VERSIONS_OF_A_MODEL)
    changed: dict[str, Any] = {
        "model_id": f"m-{number:032x}", "name": model_name(model), "version": position + 1,
        "metric_value": auc(number) if row.get("metric_name") == "auc" else number / 7,
        "value": TEAMS[model % len(TEAMS)] if row.get("key") == "team" else row.get("value"),
        "param_value": str(number % 9),
    }  # fmt: skip
    return {key: value for key, value in changed.items() if key in row}
