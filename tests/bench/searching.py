"""Rows about searches: by what DVC recorded, and by what the log says, beside MLflow's two searches on SQLite.

Imported last, and by what measures this alone: MLflow would weigh on the other rows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
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

from modelregistry import Registry
from modelregistry.config import cache_folder
from tests.bench.measure import Row, in_turn
from tests.bench.registries import git, model_name

VERSIONS_OF_A_MODEL = 50
TEAMS = ("risk", "growth", "ads", "ops", "search")
_AT_ONCE = 2_000
_TOP = 10
_PLAN = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [depth, rate]
    outs: [model.bin]
    metrics: [metrics.json: {{cache: false}}]
artifacts:
{artifacts}"""
_LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - path: train.py
      hash: md5
      md5: 68b329da9893e34099c7d8ad5cb9c940
      size: 1
    params:
      params.yaml:
        depth: {depth}
        rate: 0.1
    outs:
    - path: model.bin
      hash: md5
      md5: '{number:032x}'
      size: 1048576
"""


def measure(folder: Path, versions: int, *, repeats: int) -> list[Row]:
    """Everything about searches."""
    root = _make_repository(folder / "searched", versions)
    client = _make_mlflow(folder / "mlflow.db", versions)
    best = partial(_best, root)
    theirs = partial(_their_best, client)
    _check(best(), theirs(), versions)
    cold, peer = in_turn(repeats, best, theirs, before=_forget)
    warm, _ = in_turn(repeats, best, theirs)
    registry = Registry(root)
    again, _ = in_turn(repeats, partial(_top, registry), theirs)
    of_one, _ = in_turn(repeats, partial(_top, registry, name=model_name(3)), theirs)
    query = "metadata.team == 'risk' and stage == 'current'"
    told = partial(registry.search, query)
    said = partial(_all_of_team, client)
    assert len(told()) == versions // VERSIONS_OF_A_MODEL // len(TEAMS)
    assert len(said()) == versions // len(TEAMS)
    log, tags = in_turn(repeats, told, said)
    logged, versioned = "`search_logged_models`, the same ten, by SQL", "`search_model_versions`, by tag"
    what = f"`search('metrics.auc > 0.9', sort='-metrics.auc', limit={_TOP})`, {versions:,} versions"
    return [
        Row(f"{what}, the first time", cold, logged, peer, most=6),
        Row("the same, remembered by an earlier process", warm, logged, peer, most=1.5),
        Row("the same, once more by an open `Registry`", again, logged, peer, most=0.5),
        Row(f"the same of one model of {VERSIONS_OF_A_MODEL} versions", of_one, logged, peer, most=0.1),
        Row(f'`search("{query}")`', log, versioned, tags, most=0.5),
    ]


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
    assert ours == theirs == sorted(map(_auc, range(versions)), reverse=True)[:_TOP]


def _auc(number: int) -> float:
    """From 0.5 to 1, no two alike, and in no order."""
    return round(0.5 + number * 7919 % 10_007 / 20_014, 6)


# -- ours --------------------------------------------------------------------------------------------------


def _make_repository(root: Path, versions: int) -> Path:
    """So many versions, each at a commit of its own, with metrics and parameters of its own."""
    models = versions // VERSIONS_OF_A_MODEL
    root.mkdir(parents=True)
    git(root, "init", "--quiet")
    artifacts = "".join(
        f"  {model_name(number)}: {{path: model.bin, type: model}}\n" for number in range(models)
    )
    git(root, "fast-import", "--quiet", stdin=b"".join(_commits(_PLAN.format(artifacts=artifacts), versions)))
    git(root, "reset", "--quiet", "--hard")
    git(root, "pack-refs", "--all", "--prune")
    return root


def _commits(plan: str, versions: int) -> Iterator[bytes]:
    who = b"Ann Author <ann@example.com> %d +0000\n"
    for number in range(versions):
        at = 1_780_000_000 + number * 60
        values = {"auc": _auc(number), "loss": number / 7, "by_region": {"eu": number, "us": -number}}
        files = {
            "metrics.json": json.dumps(values),
            "params.yaml": f"depth: {number % 9}\nrate: 0.1\n",
            "dvc.lock": _LOCK.format(depth=number % 9, number=number),
        } | ({"dvc.yaml": plan, "train.py": "\n", ".dvc/config": ""} if number == 0 else {})
        yield b"commit refs/heads/main\nmark :%d\ncommitter " % (number + 1) + who % at + b"data 5\nTrain\n"
        for path, text in files.items():
            yield b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(text.encode()), text.encode())
        model, position = divmod(number, VERSIONS_OF_A_MODEL)
        name, version = model_name(model), f"v0.1.{position}"
        trailer = {
            "schema_version": 1, "kind": "register", "id": f"{number:032x}", "registry": "5b0e9e4b2bd04f9a8d1c5a4d5f6e7a80",
            "digest": f"sha256:{number:064x}", "address": f"md5:{number:032x}", "size": 1048576,
            "metadata": {"team": TEAMS[model % len(TEAMS)], "features": ["age", "tenure"]},
        }  # fmt: skip
        yield _tag(f"{name}@{version}", number, who % at, trailer)
        if position == VERSIONS_OF_A_MODEL - 1:
            yield _tag(f"{name}#current#1", number, who % (at + 1), None)
    yield b"done\n"


def _tag(name: str, number: int, who: bytes, trailer: dict[str, Any] | None) -> bytes:
    said = (
        f"Trained anew\n\nModel-Registry: {json.dumps(trailer)}\n"
        if trailer is not None
        else "As GTO writes it\n"
    )
    head = b"tag %b\nfrom :%d\ntagger " % (name.encode(), number + 1)
    return head + who + b"data %d\n%b\n" % (len(said.encode()), said.encode())


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
    for key, value in {"auc": _auc(0), "loss": 0.0}.items():
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
        "metric_value": _auc(number) if row.get("metric_name") == "auc" else number / 7,
        "value": TEAMS[model % len(TEAMS)] if row.get("key") == "team" else row.get("value"),
        "param_value": str(number % 9),
    }  # fmt: skip
    return {key: value for key, value in changed.items() if key in row}
