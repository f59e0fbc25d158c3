"""What a log in a database remembers of what it read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from modelregistry import migrate, open_backend
from modelregistry.log.events import Annotated
from modelregistry.testing import make_event

REV = "0" * 40


def test_a_record_that_changed_in_its_place_is_parsed_anew(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    migrate(f"sqlite:///{file}")
    backend = open_backend(f"sqlite:///{file}")
    backend.append(make_event(Annotated, "churn", REV, number=1, message="Before."))
    assert backend.read("churn").events[0].message == "Before."
    with closing(sqlite3.connect(file)) as database:
        ((record,),) = database.execute("SELECT record FROM modelregistry_event")
        changed = record.replace(b"Before.", b"Behind.")
        database.execute("UPDATE modelregistry_event SET record = ?", (changed,))
        database.commit()
    assert backend.read("churn").events[0].message == "Behind."
