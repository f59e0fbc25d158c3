"""The three tools that write at once, each opened once and then asked to move a stage again and again.

Only the processes that write import this: MLflow would weigh on the rows that are measured in the benchmark's own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import gto.api
from mlflow import MlflowClient

import modelregistry
from tests.bench.registries import git

MODEL = "churn"
STAGE = "current"
Write = Callable[[int, str], object]
"""Puts a version, by its number from 0, on the stage; with a message that nothing else has."""


def spell(number: int) -> str:
    """The name of a version."""
    return f"v0.1.{number}"


def open_registry(clone: str) -> Write:
    """This library, as it comes: it fetches, pushes, and decides anew when another was faster."""
    registry = modelregistry.Registry(clone)
    registry.get(MODEL, stage=STAGE)
    return lambda number, message: registry.promote(MODEL, spell(number), STAGE, message=message)


def open_gto(clone: str) -> Write:
    """GTO, with what it needs to go on after a push of its own was refused: tags fetched over those that are here."""
    gto.api.find_versions_in_stage(clone, MODEL, STAGE)

    def write(number: int, message: str) -> None:
        git(Path(clone), "fetch", "--quiet", "--tags", "--force", "origin")
        # force: else it refuses a version that was on the stage before.
        gto.api.assign(clone, MODEL, STAGE, version=spell(number), message=message, force=True, push=True)

    return write


def open_mlflow(file: str) -> Write:
    """MLflow on SQLite, in the process of the writer: no server between them."""
    client = _client(file)
    client.get_model_version_by_alias(MODEL, STAGE)
    return lambda number, message: client.set_registered_model_alias(MODEL, STAGE, str(number + 1))


def make_store(file: str, versions: int) -> None:
    """A database of MLflow's with so many versions of one model, the first of them on the stage."""
    client = _client(file)
    client.create_registered_model(MODEL)
    for number in range(versions):
        client.create_model_version(MODEL, source=f"file:///models/{number}")
    client.set_registered_model_alias(MODEL, STAGE, "1")
    with closing(sqlite3.connect(file)) as database:
        # Readers and the writer are out of each other's way; the database remembers it.
        database.execute("PRAGMA journal_mode = WAL")


def _client(file: str) -> MlflowClient:
    address = f"sqlite:///{os.path.abspath(file)}"
    return MlflowClient(tracking_uri=address, registry_uri=address)


OPENERS = {"modelregistry": open_registry, "GTO": open_gto, "MLflow": open_mlflow}
