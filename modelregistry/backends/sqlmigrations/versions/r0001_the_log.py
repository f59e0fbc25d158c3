"""The log: models, events, and whose mirror it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "modelregistry_model",
        sa.Column("name", _text, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("last", sa.Text, nullable=False),
    )
    op.create_table(
        "modelregistry_event",
        sa.Column("model", _text, sa.ForeignKey("modelregistry_model.name"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("tag", _text, nullable=False, unique=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table("modelregistry_mirror", sa.Column("of", sa.Text, primary_key=True))
