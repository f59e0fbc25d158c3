"""A backend of one's own: a folder of JSON files, one an event, for a team with a shared disk and no database."""

import hashlib
import json
import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from modelregistry.backends.base import Backend, Capabilities, Log
from modelregistry.log.events import Event, event_from_json


class FolderBackend(Backend):
    """Keeps ``<model>/<tag>.json`` in a folder. To link a finished file to its name is the compare-and-swap."""

    name = "folder"
    capabilities = Capabilities(multi_writer=True)

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder).absolute()

    @classmethod
    def open(cls, address: str) -> Self:
        return cls(address.removeprefix("folder:"))

    @property
    def identity(self) -> str:
        return f"folder:{self._folder}"

    def _read(self, model: str, records: bool) -> Log:
        texts = sorted(path.read_bytes() for path in self._folder.glob(f"{quote(model, safe='')}/*.json"))
        events = tuple(event_from_json(json.loads(text)) for text in texts)
        numbers = {event.slot: event.number for event in sorted(events, key=lambda event: event.number)}
        head = hashlib.sha256(b"\n".join(texts)).hexdigest() if texts else ""
        return Log(model, head, events, numbers=numbers)

    def _read_all(self, records: bool) -> Iterator[Log]:
        models = sorted(unquote(path.name) for path in self._folder.glob("*") if path.is_dir())
        return (log for log in (self._read(model, records) for model in models) if log.events)

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        place = self._folder / quote(event.model, safe="")
        place.mkdir(parents=True, exist_ok=True)
        mine = place / f".{os.getpid()}-{os.urandom(8).hex()}"
        with open(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_SYNC, 0o666), "w", encoding="utf-8") as file:
            json.dump(event.to_json(), file, sort_keys=True)
        try:
            os.link(mine, place / f"{quote(f'{event.slot}#{event.number}', safe='')}.json")
        except FileExistsError:
            return None
        finally:
            mine.unlink()
        written = os.open(place, os.O_RDONLY)
        os.fsync(written)  # the name too is on the disk
        os.close(written)
        return event

    def _watch(self, model: str) -> Hashable | None:
        return None  # so it is read each time
