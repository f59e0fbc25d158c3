"""Files at a URL of any kind that fsspec knows: what their store says of them, and their bytes on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from modelregistry.errors import (
    AccessDeniedError,
    InvalidInputError,
    MissingBytesError,
    MissingDependencyError,
    PathNotFoundError,
    RegistryError,
)
from modelregistry.progress import Report
from modelregistry.urlsecrets import public_url

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::|://)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>()]+")
_CHUNK = 4 << 20
_EXTRAS = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "azure", "abfs": "azure"}
# Where fsspec's own class needs what is called otherwise than what it imports.
_PACKAGES = {"libarchive": "libarchive-c", "smbclient": "smbprotocol", "webdav4": "'webdav4[fsspec]'"}
_TELLING = {
    "etag": ("ETag", "etag", "e_tag"),
    "version_id": ("VersionId", "version_id", "generation"),
    "checksum": ("content-md5", "Content-MD5", "md5Hash"),
}


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """A file or a folder at a URL.

    Attributes:
        url: As it was given, which may hold a secret: for nobody's eyes.
        filesystem: That of fsspec.
        path: What that calls it.
    """

    url: str
    filesystem: Any
    path: str

    @property
    def public(self) -> str:
        """The URL without what must not be kept."""
        return public_address(self.url)

    @property
    def name(self) -> str:
        """What it is called there."""
        return self.public.partition("?")[0].rstrip("/").rpartition("/")[2]

    @property
    def _protocols(self) -> Sequence[str]:
        found = getattr(self.filesystem, "protocol", ())
        return (found,) if isinstance(found, str) else tuple(found)

    def facts(self) -> Mapping[str, str]:
        """What the store says that tells this content from another: an ETag, a version, a checksum.

        Raises:
            RegistryError: It can't be had; the message says why.
        """
        with self.told():
            return self._facts(self.path)

    def is_versioned(self) -> bool:
        """Whether the store, opened so that it knows of versions, says which one the file, or the first of them, is.

        Raises:
            RegistryError: It can't be had; the message says why.
        """
        with self.told():
            path = self.path
            if self.filesystem.isdir(path):
                path = next(iter(self.filesystem.find(path)), path)
            return "version_id" in self._facts(path)

    def _facts(self, path: str) -> Mapping[str, str]:
        info = self.filesystem.info(path)
        found = {}
        for fact, names in _TELLING.items():
            value = next((info[name] for name in names if info.get(name)), None)
            if isinstance(value, str | int) and value != "null":
                found[fact] = str(value).strip('"')
        return found

    def bring(self, into: Path, report: Report) -> None:
        """Bring the file, or all that is in the folder, to ``into``.

        Raises:
            PathNotFoundError: Nothing is there.
            AccessDeniedError: This user may not read it.
            MissingBytesError: It can't be had for another reason.
            InvalidInputError: A folder with a name in it that leads out of it, or without a file.
        """
        with self.told():
            if not self.filesystem.isdir(self.path):
                _copy([(self.path, into)], self.filesystem, report)
                return
            top = self.path.rstrip("/")
            inside = [path for path in self.filesystem.find(top) if not path.endswith("/")]
        if not inside:
            raise InvalidInputError(f"{self.public!r} has no file in it")
        pairs = []
        for path in inside:
            relative = path.removeprefix(top).strip("/")
            if (
                not path.startswith(top)
                or not relative
                or {"..", "."} & {*relative.split("/")}
                or "\\" in relative
            ):
                raise InvalidInputError(f"{self.public!r} has a file with the name {relative!r}")
            pairs.append((path, into / relative))
        with self.told():
            _copy(pairs, self.filesystem, report)

    @contextmanager
    def told(self) -> Iterator[None]:
        """What another library raises is an error of ours."""
        try:
            yield
        except RegistryError:
            raise
        except Exception as error:  # each file system's own
            failure = self._failure(error)
            if self.url != self.public:  # what another library says may have the secret in it
                raise failure from None
            raise failure from error

    def _failure(self, error: Exception) -> RegistryError:
        cause = error.__cause__
        if (
            isinstance(error, FileNotFoundError)
            and isinstance(cause, Exception)
            and "http" in self._protocols
        ):
            error = cause  # that nothing is there is what fsspec says of a refusal and of a broken line, too
        said = said_of(error, self.url)
        status = getattr(error, "status", None)
        if isinstance(error, FileNotFoundError) or status == 404:
            return PathNotFoundError(f"nothing is at {self.public!r}: {said}")
        if isinstance(error, PermissionError) or status in (401, 403):
            return AccessDeniedError(
                f"{self.public!r} can't be read by you: {said}; log in, or ask for the right"
            )
        return MissingBytesError(
            f"{self.public!r} can't be had ({said}): check the address, the network and your credentials",
            paths=[self.public],
        )


def is_remote(source: str) -> bool:
    """Whether it is a URL that fsspec may know, rather than a path."""
    return bool(_SCHEME.match(source))


def open_remote(url: str, options: Mapping[str, Any]) -> RemoteFiles:
    """What fsspec opens a URL with.

    Args:
        url: The URL; several in a row (``zip://model.bin::https://…``) are one in another.
        options: What its file system takes.

    Raises:
        MissingDependencyError: A package is missing; the message has the pip command.
        InvalidInputError: No such protocol, or options that it does not take.
    """
    from fsspec.core import url_to_fs

    files = RemoteFiles(url, None, "")
    with files.told():  # some ask the other side already
        try:
            filesystem, path = url_to_fs(url, **options)
        except ImportError as error:
            raise MissingDependencyError(_missing(url, error)) from error
        except (ValueError, TypeError) as error:
            said = str(error).replace(url, files.public)
            raise InvalidInputError(f"{files.public!r} can't be opened: {said}") from None
    return RemoteFiles(url, filesystem, path)


def public_address(text: str) -> str:
    """A URL, or a chain of them, without logins and signatures."""
    return "::".join(public_url(part) for part in text.split("::"))


def said_of(error: BaseException, url: str) -> str:
    """What another library says, in one line, without the secrets of the URL that it was given.

    Args:
        error: What it raised.
        url: The URL as it was given.
    """
    name = type(error).__name__
    text = next(iter(str(error).replace(url, public_address(url)).splitlines()), "")
    said = _ADDRESS.sub(lambda found: public_address(found[0]), text)
    plain = unquote(said)
    if any(secret in plain for secret in _secrets(url)):  # spelt otherwise, or in pieces
        return name
    return f"{name}: {said}"[:300] if said else name


def _secrets(url: str) -> set[str]:
    """What a URL holds that its public form does not."""
    found: set[str] = set()
    for part in url.split("::"):
        if "://" not in part or public_address(part) == part:
            continue
        with suppress(ValueError):
            parts = urlsplit(part)
            found |= {unquote(text) for text in (parts.username, parts.password) if text}
            found |= {value for _, value in parse_qsl(parts.query)}
    return {text for text in found if len(text) > 3}


def _missing(url: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    for part in url.split("::"):
        protocol = part.partition("://")[0]
        known = known_implementations.get(protocol)
        if known is None:
            continue
        module = str(known["class"]).partition(".")[0]
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        needed = module if module != "fsspec" else (cause.name or "").partition(".")[0]
        if not needed or (module != "fsspec" and _is_here(module)):
            continue
        package = (
            f"'modelregistry[{_EXTRAS[protocol]}]'" if protocol in _EXTRAS else _PACKAGES.get(needed, needed)
        )
        said = known.get("err")
        return f"{protocol}:// needs a package that is not here: pip install {package}{f' ({said})' if said else ''}"
    return f"{public_address(url)!r} needs a package that is not here: {error}"


def _is_here(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _copy(pairs: Sequence[tuple[str, Path]], filesystem: Any, report: Report) -> None:
    sizes = [filesystem.info(path).get("size") for path, _ in pairs]
    total = None if None in sizes else sum(sizes)
    done = 0
    for path, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        with filesystem.open(path, "rb") as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                report(done, total)
