"""Whatever is done to files between two loads, and however little time passes: what is handed out is what was registered."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modelregistry.artifacts.base import Arrived, Content, Entry, Report, Storage
from modelregistry.content.delivery import Delivery
from modelregistry.content.identity import whole_digest
from modelregistry.content.store import Store
from modelregistry.errors import IntegrityError
from modelregistry.log.events import FileDigest

GOOD = {"a": b"first file", "deep/b": b"second one"}
SHA = {path: hashlib.sha256(data).hexdigest() for path, data in GOOD.items()}
MD5 = {path: hashlib.md5(data).hexdigest() for path, data in GOOD.items()}
ENTRIES = tuple(Entry(path, f"md5:{MD5[path]}", len(data)) for path, data in GOOD.items())
FILES = tuple(FileDigest(path=path, sha256=SHA[path], size=len(data)) for path, data in GOOD.items())
DIGEST = whole_digest(FILES, is_directory=True)
CONTENT = Content("folder", "model", ENTRIES, is_directory=True, address="md5:" + "0" * 32 + ".dir")


class Folder(Storage):
    """A cache and a remote, which are folders of files named by their md5."""

    name = "folder"

    def __init__(self, top: Path) -> None:
        self.cache, self.remote = top / "cache", top / "remote"
        for folder in (self.cache, self.remote):
            folder.mkdir()
            for path, data in GOOD.items():
                (folder / MD5[path]).write_bytes(data)

    def locate(self, rev: str, path: str) -> Content | None:
        return CONTENT

    def find(self, entry: Entry) -> Path | None:
        place = self.cache / entry.address[4:]
        return place if place.is_file() else None

    def fetch(
        self, entries: Sequence[Entry], into: Path, arrived: Arrived, *, report: Report | None = None
    ) -> None:
        for entry in entries:
            shutil.copyfile(self.remote / entry.address[4:], into / entry.address[4:])
            arrived(entry, into / entry.address[4:])

    def missing(self, entries: Sequence[Entry], *, cached: bool = True) -> tuple[Entry, ...]:
        return ()


def writable(place: Path) -> Path:
    place.chmod(0o644)
    return place


def overwrite(place: Path) -> None:
    data = place.read_bytes()
    writable(place).write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if data else b"x")


def overwrite_and_set_back(place: Path) -> None:
    before = place.stat()
    probe = place.with_name("probe")
    while probe.write_bytes(b"") is None or probe.stat().st_ctime_ns <= before.st_ctime_ns:
        pass  # a tick of the file system, in which a change to a time may not show
    probe.unlink()
    overwrite(place)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


def beside(place: Path) -> Path:
    """Where there is no file yet."""
    return place.with_name(os.urandom(4).hex())


def link(place: Path) -> None:
    other = beside(place)
    other.write_bytes(b"?" * 10)
    place.unlink()
    place.symlink_to(other)


def swap(place: Path) -> None:
    before = place.stat()
    other = beside(place)
    other.write_bytes(bytes(before.st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(place)


def copy(place: Path) -> None:
    other = beside(place)
    shutil.copy2(place, other)
    other.rename(place)


DEEDS = {
    "overwrite": overwrite,
    "overwrite and set the time back": overwrite_and_set_back,
    "another file": swap,
    "the same in another file": copy,
    "touch": os.utime,
    "cut short": lambda place: os.truncate(writable(place), 3),
    "lengthen": lambda place: writable(place).write_bytes(place.read_bytes() + b"x"),
    "remove": lambda place: place.unlink(),
    "one more name": lambda place: os.link(place, beside(place)),
    "for all to write": lambda place: place.chmod(0o666),
    "a link": link,
}  # fmt: skip
WHERE = ("view", "cache", "objects", "receipts")
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(DEEDS)), st.sampled_from(WHERE), st.integers(0, 3)), max_size=6
)


def places(top: Path, where: str) -> list[Path]:
    folder = top / "store" / ("views" if where == "view" else where) if where != "cache" else top / "cache"
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@given(
    st.lists(st.tuples(STEPS, st.sampled_from([None, "a", "deep/b"])), min_size=1, max_size=4), st.booleans()
)
def test_what_is_handed_out_is_what_was_registered_or_an_error(
    rounds: list[tuple[list[tuple[str, str, int]], str | None]], cached: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        storage, delivery = Folder(top), Delivery(Store(top / "store"))
        if not cached:
            shutil.rmtree(top / "cache")
            (top / "cache").mkdir()

        def deliver(only: str | None) -> Path:
            place = delivery.at_hand(DIGEST, "model", only)
            return place or delivery.deliver(
                storage, CONTENT, {path: f"sha256:{sha}" for path, sha in SHA.items()},
                digest=DIGEST, reference="model@v1.0.0", only=only,
            )[0]  # fmt: skip

        deliver(None)
        for deeds, only in rounds:
            for deed, where, which in deeds:
                if found := places(top, where):
                    DEEDS[deed](found[which % len(found)])
            for _ in range(20):  # each error sets one bad file aside
                try:
                    place = deliver(only)
                except IntegrityError:
                    continue
                break
            else:
                raise AssertionError("what was set aside comes back")
            for path in [only] if only else GOOD:
                assert (place if only else place / path).read_bytes() == GOOD[path]
