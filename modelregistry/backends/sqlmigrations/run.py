"""Runs the migrations that a database has not had, in the transaction of the caller."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from modelregistry.errors import SchemaError

_LOCK = (
    0x6D6F64656C726567  # "modelreg": an advisory lock of PostgreSQL's, so that of two who migrate one waits
)

_alone = threading.Lock()
"""Alembic keeps what it runs in a place of the whole process."""


def upgrade(connection: sa.Connection, *, version_table: str) -> None:
    """Run them.

    Raises:
        SchemaError: The tables have a form that none of them starts from.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    config = Config()
    config.set_main_option("script_location", os.fspath(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(connection=connection, version_table=version_table)
    try:
        with _alone:
            command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(
            f"the tables were made by no version of this library that is known here: {error}"
        ) from None
