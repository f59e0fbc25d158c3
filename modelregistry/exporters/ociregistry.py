"""The push of an OCI image layout to a registry of containers: blobs first, the tag last."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelregistry.errors import ExportError, IntegrityError, InvalidInputError
from modelregistry.exporters.base import ExportFile
from modelregistry.exporters.ocihttp import Connection

_CHUNK = 1 << 20
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TARGET = re.compile(
    r"oci://(?P<host>(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?)"
    rf"/(?P<repository>{_PART}(?:/{_PART})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?"
)
_OPTIONS = {"username", "password", "insecure"}


def push(
    files: Mapping[str, ExportFile],
    target: str,
    *,
    overwrite: bool,
    options: Mapping[str, Any],
    report: Callable[[int, int | None], None],
) -> tuple[str, Sequence[str]]:
    """Have the artifact of an image layout under a tag; returns its reference, and what was pushed.

    Args:
        files: The layout, by path.
        target: ``oci://registry/repository:tag``; without the tag, that of the layout.
        overwrite: Let the tag name this artifact, if it names another one.
        options: ``username`` and ``password``, else what ``docker login`` keeps; ``insecure=True`` for HTTP.
        report: Told of the bytes.

    Raises:
        InvalidInputError: It is no such target, or the tag names another artifact.
        ExportError: The registry can't be reached, or says no.
        IntegrityError: A file changed since it was verified.
    """
    if "@" in target.removeprefix("oci://").partition("/")[0]:
        raise InvalidInputError(
            f"the address of a registry at {target.rpartition('@')[2]!r} carries a login, which others would read there: pass "
            'storage_options={"username": …, "password": …}, or have docker login keep it'
        )
    match = _TARGET.fullmatch(target)
    if match is None or not _OPTIONS.issuperset(options):
        raise InvalidInputError(
            f"{target.rpartition('@')[2]!r} with storage_options for {sorted(options)} is no place in a registry: write "
            f"oci://registry/repository:tag, and of the options {sorted(_OPTIONS)}"
        )
    entry = json.loads(_bytes(files["index.json"]))["manifests"][0]
    tag = match["tag"] or entry["annotations"]["org.opencontainers.image.ref.name"]
    repository = _Repository(Connection(match["host"], options), match["repository"])
    place = f"oci://{match['host']}/{match['repository']}:{tag}"
    found = repository.digest_of(tag, entry["mediaType"])
    if found == entry["digest"]:
        return place, ()
    if found is not None and not overwrite:
        raise InvalidInputError(
            f"{place!r} is another artifact: expected {entry['digest']}, found {found}; overwrite=True lets the tag name "
            "this one, or give another tag"
        )
    manifest = _bytes(files[_path(entry["digest"])])
    written = _send_blobs(repository, files, json.loads(manifest), report)
    repository.put_manifest(tag, manifest, entry)
    return place, (*written, tag)


def _send_blobs(
    repository: _Repository,
    files: Mapping[str, ExportFile],
    manifest: Mapping[str, Any],
    report: Callable[[int, int | None], None],
) -> list[str]:
    """Have there what a manifest refers to; returns what was not."""
    wanted = {each["digest"]: each["size"] for each in (*manifest["layers"], manifest["config"])}
    written, done = [], 0
    for digest, size in wanted.items():
        if repository.size_of(digest) != size:
            repository.put_blob(digest, files[_path(digest)])
            written.append(digest)
        done += size
        report(done, sum(wanted.values()))
    return written


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _bytes(file: ExportFile) -> bytes:
    return file.content if isinstance(file.content, bytes) else file.content.read_bytes()


class _Body:
    """What is sent: read as it goes, anew for a second attempt, and hashed meanwhile."""

    def __init__(self, content: Path | bytes) -> None:
        self.content = content
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        self.sha256 = hashlib.sha256()
        if isinstance(self.content, bytes):
            self.sha256.update(self.content)
            yield self.content
            return
        with self.content.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.sha256.update(chunk)
                yield chunk


class _Repository:
    """One repository of a registry, by the OCI distribution specification (1.1)."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def digest_of(self, tag: str, media_type: str) -> str | None:
        """What a tag names; None where there is none."""
        answer = self._connection.ask(
            "GET", self._url(f"manifests/{tag}"), headers={"Accept": media_type}, allowed={200, 404}
        )
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}" if answer.status == 200 else None

    def size_of(self, digest: str) -> int | None:
        """Bytes of a blob; None where there is none."""
        answer = self._connection.ask("HEAD", self._url(f"blobs/{digest}"), allowed={200, 404})
        length = answer.headers.get("Content-Length")
        return int(length) if answer.status == 200 and length is not None and length.isdecimal() else None

    def put_blob(self, digest: str, file: ExportFile) -> None:
        """Send a blob. The registry compares it with its digest, and so does this."""
        started = self._connection.ask("POST", self._url("blobs/uploads/"), body=b"", allowed={202})
        location = self._connection.absolute(started.headers.get("Location") or "")
        mark = "&" if "?" in location else "?"
        body = _Body(file.content)
        self._connection.ask(
            "PUT", f"{location}{mark}digest={digest}", body=body, allowed={201},
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(file.size)},
        )  # fmt: skip
        if (sent := f"sha256:{body.sha256.hexdigest()}") != digest:
            raise IntegrityError(
                f"{file.path!r} changed while it was exported: expected {digest}, found {sent}; try again",
                path=file.path, expected=digest, found=sent,
            )  # fmt: skip
        if (found := self.size_of(digest)) != file.size:
            raise ExportError(
                f"blob {digest} was sent, and the registry has {found} of its {file.size} bytes"
            )

    def put_manifest(self, tag: str, manifest: bytes, entry: Mapping[str, Any]) -> None:
        """Let the tag name it, and read that back."""
        self._connection.ask(
            "PUT", self._url(f"manifests/{tag}"), body=manifest, headers={"Content-Type": entry["mediaType"]},
            allowed={201},
        )  # fmt: skip
        if (found := self.digest_of(tag, entry["mediaType"])) != entry["digest"]:
            raise ExportError(
                f"tag {tag!r} was written, and what is read there is something else: expected {entry['digest']}, found "
                f"{found}"
            )

    def _url(self, what: str) -> str:
        return self._connection.absolute(f"/v2/{self._name}/{what}")
