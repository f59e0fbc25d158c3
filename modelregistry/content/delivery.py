"""From an artifact's addresses to its verified files on this machine, under their own names."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from modelregistry.artifacts.base import Content, Entry, Storage
from modelregistry.content.identity import whole_digest
from modelregistry.content.receipts import Receipt, date_back, look
from modelregistry.content.store import Digests, Store, cache_error, hash_file, verify_file
from modelregistry.errors import CacheError, IntegrityError, InvalidInputError, MissingBytesError
from modelregistry.log.events import FileDigest
from modelregistry.progress import Progress, reported

_log = logging.getLogger("modelregistry")
_THREADS = 4
"""Hashing and reading wait for no other thread."""


class Delivery:
    """Finds or fetches the files of artifacts, verifies them, and links them into the store's views.

    Args:
        store: Where they are kept.
        offline: Fetch nothing.
    """

    def __init__(self, store: Store, *, offline: bool = False) -> None:
        self._store = store
        self._offline = offline

    # -- what was delivered before -------------------------------------------------------------------------

    def at_hand(self, digest: str, name: str, only: str | None = None) -> Path | None:
        """The artifact (or its file ``only``) where an earlier delivery left it, if no file changed since.

        Args:
            digest: The identity of the whole.
            name: What the artifact is called.
            only: A file in it.
        """
        place = self._store.view(digest) / name
        receipt = self._store.read_receipt(digest, name)
        if "" in receipt.files and only == name:  # the artifact is that file
            only = None
        if receipt.holds(place, only):
            return place / only if only is not None else place
        return None

    # -- delivering ----------------------------------------------------------------------------------------

    def deliver(
        self,
        storage: Storage,
        content: Content,
        recorded: Mapping[str, str],
        *,
        digest: str | None,
        reference: str,
        only: str | None = None,
        progress: Progress = None,
    ) -> tuple[Path, str]:
        """The verified artifact under its own name (or its file ``only``), and the digest of the whole (or ``""``).

        Args:
            storage: Where the bytes come from.
            content: What the artifact consists of.
            recorded: The sha256 of each file, by path; nothing where only the storage's addresses are known.
            digest: The identity of the whole, if it was recorded.
            reference: What the caller asked for, for messages.
            only: A file in it.
            progress: Who is told while bytes move.

        Raises:
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
            CacheError: They can't be kept.
        """
        wanted = [entry for entry in content.entries if only in (None, entry.path)]
        view = self._view(content, digest or content.address) if digest or content.address else None
        found = self.bring(
            storage, content, wanted, recorded, reference=reference, view=view, progress=progress
        )
        if only is None:
            digest = whole_digest(described(content.entries, found), is_directory=content.is_directory)
        try:
            place = self.name(content, digest or content.address, found)
        except CacheError as error:
            if content.is_directory and only is None:
                raise
            _log.warning("%s is handed out as it lies: %s", reference, error)
            return found[wanted[0].path][0], digest or ""
        return (place if only is None else place / only), digest or ""

    def bring(
        self,
        storage: Storage,
        content: Content,
        entries: Sequence[Entry],
        recorded: Mapping[str, str],
        *,
        reference: str,
        view: Path | None = None,
        progress: Progress = None,
    ) -> dict[str, tuple[Path, Digests]]:
        """Where the verified bytes of each entry lie, and what they hash to, by its path; fetches what is not here.

        Args:
            storage: Where the bytes come from.
            content: What the artifact consists of.
            entries: Those of its files that are wanted.
            recorded: The sha256 of each file, by path; nothing where only the storage's addresses are known.
            reference: What the caller asked for, for messages.
            view: Where an earlier delivery may have left the artifact: of bytes that were used where DVC had them,
                these are the only names here once they are gone from there.
            progress: Who is told while bytes move.

        Raises:
            MissingBytesError: They are nowhere to be had.
            IntegrityError: They are not the registered bytes; they were set aside.
            CacheError: They can't be kept.
        """
        expected = {entry.path: recorded.get(entry.path, entry.address) for entry in entries}

        def named(entry: Entry) -> Path | None:
            return view / entry.path if view is not None and content.is_directory else view

        def find(entry: Entry) -> Path | None:
            return self._find(storage, entry, expected[entry.path], named(entry))

        places = {entry.path: find(entry) for entry in entries}
        fetched: dict[str, tuple[Path, Digests]] = {}
        if None in places.values():
            if self._offline:
                lost = [path for path, place in places.items() if place is None]
                raise MissingBytesError(
                    f"offline=True, and {len(lost)} of {len(entries)} files of {reference} are not on this machine, "
                    f"{lost[0]!r} for one: load it once with the network, or run 'dvc fetch'",
                    paths=lost,
                )
            with self._store.incoming(content.address or entries[0].address) as folder:
                # Another process may have brought them while this one waited.
                places = {entry.path: find(entry) for entry in entries}
                absent = {entry.address: entry for entry in entries if places[entry.path] is None}
                if absent:
                    fetched = self._fetch(
                        storage, [*absent.values()], folder, expected, reference=reference, progress=progress
                    )

        def check(entry: Entry) -> tuple[Path, Digests]:
            return self._check(entry, places[entry.path], named(entry), fetched, expected, reference)

        if len(entries) == 1:
            return {entries[0].path: check(entries[0])}
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(_THREADS, len(entries))) as pool:
            return {entry.path: found for entry, found in zip(entries, pool.map(check, entries), strict=True)}

    def _fetch(
        self,
        storage: Storage,
        entries: Sequence[Entry],
        folder: Path,
        expected: Mapping[str, str],
        *,
        reference: str,
        progress: Progress,
    ) -> dict[str, tuple[Path, Digests]]:
        """The fetched bytes in the store, by address."""
        fetched: dict[str, tuple[Path, Digests]] = {}

        def arrived(entry: Entry, staged: Path) -> None:
            date_back(staged)
            try:
                found = verify_file(staged, expected[entry.path], name=f"{reference}:{entry.path}")
            except IntegrityError as error:
                aside = self._store.set_aside(staged)
                raise IntegrityError(
                    f"{error}; they came from where it is fetched and were set aside as {os.fspath(aside or staged)!r}: "
                    "bring the right ones there ('dvc push' where they are), then load again",
                    path=error.path, expected=error.expected, found=error.found,
                ) from error  # fmt: skip
            fetched[entry.address] = self._store.keep(staged, found.sha256, entry.address), found

        try:
            with reported(progress, f"fetching {reference}") as report:
                storage.fetch(entries, folder, arrived, report=report)
        except OSError as error:
            if isinstance(error, CacheError) or error.errno is None:
                raise
            raise cache_error(self._store.folder, error) from error
        return fetched

    def _check(
        self,
        entry: Entry,
        place: Path | None,
        named: Path | None,
        fetched: Mapping[str, tuple[Path, Digests]],
        expected: Mapping[str, str],
        reference: str,
    ) -> tuple[Path, Digests]:
        """The place of the entry's bytes and what they hash to, which is what was registered."""
        wanted = expected[entry.path]
        if place is None:
            place, found = fetched[entry.address]
            if wanted in (found.sha256, entry.address):
                return place, found
        try:
            return place, verify_file(place, wanted, name=f"{reference}:{entry.path}")
        except IntegrityError as error:
            raise IntegrityError(
                f"{error}; {self._deal_with(entry, place, named, wanted)}",
                path=error.path, expected=error.expected, found=error.found,
            ) from error  # fmt: skip

    def _deal_with(self, entry: Entry, bad: Path, named: Path | None, expected: str) -> str:
        """Set aside a file that is not what its own name says; returns what was done, and what to do."""
        names = [self._store.place(digest) for digest in {expected, entry.address}]
        names += [named] if named is not None else []  # by any of them it would be found again
        ours = bad.is_relative_to(self._store.folder)
        address = entry.address
        algorithm = address.partition(":")[0]
        if not ours and (algorithm == "md5-dos2unix" or hash_file(bad, address).other == address):
            return (
                f"it is what its storage says ({address}), so the registration recorded other bytes: ask who made it, "
                "and register the next version"
            )
        aside = self._store.set_aside(bad, names)
        if aside is None:
            return "it can't be moved away from here: remove it, and its bytes will be fetched again"
        return f"it was set aside as {os.fspath(aside)!r}: load again, and its bytes will be fetched"

    def is_ours(self, place: Path) -> bool:
        """Whether a file lies in the store itself, and is no link to where others may write to it."""
        return place.is_relative_to(self._store.folder / "objects") and not place.is_symlink()

    def has(self, storage: Storage, entry: Entry) -> bool:
        """Whether the bytes of an entry are on this machine, unverified."""
        return self._find(storage, entry, entry.address) is not None

    def _find(self, storage: Storage, entry: Entry, expected: str, named: Path | None = None) -> Path | None:
        found = storage.find(entry) or self._store.find(expected) or self._store.find(entry.address)
        return named if found is None and named is not None and self._store.holds(named) else found

    # -- names ---------------------------------------------------------------------------------------------

    def name(self, content: Content, digest: str, found: Mapping[str, tuple[Path, Digests]]) -> Path:
        """Give verified files the names they have in the artifact; returns the place of that.

        Args:
            content: What the artifact consists of.
            digest: The identity of the whole.
            found: Where the bytes of files of it lie, and what they hash to.

        Raises:
            CacheError: The store can't be written.
        """
        called = posixpath.basename(content.path)
        place = self._view(content, digest)
        receipt = Receipt(self._store.read_receipt(digest, called).files)
        for path, (source, digests) in found.items():
            target = place / path if content.is_directory else place
            self._store.name(source, target)
            key = path if content.is_directory else ""
            now = look(target)
            # To give it one more name moved the file's ctime, and nothing else.
            if digests.facts is not None and now is not None and digests.facts.linked(now):
                receipt.files[key] = now
            else:
                receipt.files.pop(key, None)
        receipt.whole = len(receipt.files) == len(content.entries)
        receipt.save(self._store.receipt(digest, called))
        return place

    def _view(self, content: Content, digest: str) -> Path:
        """Where the artifact has its names."""
        return self._store.view(digest) / posixpath.basename(content.path)


def check_verify(verify: object) -> None:
    """Refuse what ``verify=`` does not take.

    Raises:
        InvalidInputError: It is neither of the two.
    """
    if verify not in ("always", "once"):
        raise InvalidInputError(
            f'verify={verify!r} is neither "once" (hash what changed since it was last hashed) nor "always"'
        )


def described(entries: Iterable[Entry], found: Mapping[str, tuple[Path, Digests]]) -> tuple[FileDigest, ...]:
    """What an event records of verified files."""
    return tuple(
        FileDigest(
            path=entry.path, sha256=found[entry.path][1].sha256[7:], size=found[entry.path][1].size, md5=md5_of(entry)
        )
        for entry in entries
    )  # fmt: skip


def md5_of(entry: Entry) -> str | None:
    """DVC's md5 of the file, where that is its address."""
    algorithm, _, value = entry.address.partition(":")
    return value if algorithm == "md5" else None
