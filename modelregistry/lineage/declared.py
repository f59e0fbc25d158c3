"""What an author says a version was made from: the forms it is said in, checked, and what the event keeps of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import JsonValue

from modelregistry.display.shown import Shown
from modelregistry.errors import InvalidInputError, InvalidReferenceError
from modelregistry.log.events import DeclaredInput, DeclaredLineage
from modelregistry.names import Reference
from modelregistry.project.dvcfiles import resolve
from modelregistry.urlsecrets import has_secrets, public_url

MOST_BYTES = 32 << 10
"""Of what is declared, as JSON: half of what one event has room for."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}(\.dir)?|git:(?:[0-9a-f]{40}|[0-9a-f]{64})")
_ALGORITHMS = ("sha256:", "md5:", "git:")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_KINDS = ("path", "url", "version")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Input(Shown):
    """One thing that a version was made from, for ``register(…, inputs=[…])``.

    It is one of a path, a URL and a version; or a digest alone. Text is understood as the one that it looks like:
    ``"data/customers.csv"``, ``"s3://bucket/customers.parquet"``, ``"https://git.example.com/code@<commit>"``,
    ``"base@v1.2.0"``, ``"sha256:…"``.

    Raises:
        InvalidInputError: It is none of them, or more than one, or carries credentials.
    """

    path: str | None = None
    """From the Git root: what the commit has there, in Git or tracked by DVC."""
    url: str | None = None
    """Of something outside the repository."""
    rev: str | None = None
    """Of a URL that is a Git repository, the id of the commit."""
    version: str | None = None
    """A version of this registry, as a reference."""
    digest: str | None = None
    """``sha256:…``, ``md5:…`` or ``git:…``; of a URL, or alone. What a path or a version has is known."""
    size: int | None = None
    """Bytes, of a URL or of what is known by its digest."""
    name: str | None = None
    """What people call it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted: type = int if field.name == "size" else str
            if value is not None and (type(value) is not wanted or value == ""):
                raise InvalidInputError(
                    f"{field.name}={value!r} of an input is no {wanted.__name__}, or empty"
                )
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1 and (given or self.digest is None):
            raise InvalidInputError(
                f"an input is one of path=, url=, version= and digest=, and this has {given or 'none of them'}"
            )
        known = given[0] if given and given[0] != "url" else None
        if known is not None and not (self.digest is None and self.size is None):
            raise InvalidInputError(
                f"the registry knows the digest and the size of a {known}: leave them out"
            )
        self._check_digest()
        self._check_size()
        if self.path is not None:
            object.__setattr__(self, "path", _checked_path(self.path))
        if self.url is not None:
            object.__setattr__(self, "url", _checked_url(self.url))
        if self.rev is not None and (self.url is None or not _COMMIT.fullmatch(self.rev)):
            raise InvalidInputError(f"rev={self.rev!r}: the id of a commit, all of it, of the url= it is in")
        if self.version is not None:
            Reference.parse(self.version)

    def _check_digest(self) -> None:
        if self.digest is not None and not _DIGEST.fullmatch(self.digest):
            raise InvalidInputError(
                f"{self.digest!r} is no digest: 'sha256:' and 64, or 'md5:' and 32 hexadecimal digits in lower case"
            )

    def _check_size(self) -> None:
        if self.size is not None and not 0 <= self.size < 1 << 63:
            raise InvalidInputError(f"size={self.size!r} is no number of bytes")

    @classmethod
    def parse(cls, text: str) -> Input:
        """From text that looks like a digest, a URL (``url@commit`` of a repository), a version or a path.

        Raises:
            InvalidInputError: It looks like none.
        """
        if not isinstance(text, str) or not text:
            raise InvalidInputError(
                f"not an input: {text!r}; a text such as 'data/customers.csv', or mr.Input(…)"
            )
        if text.startswith(_ALGORITHMS) and "@" not in text:
            return cls(digest=text)
        if "://" in text:
            url, at_sign, rev = text.rpartition("@")
            return cls(url=url, rev=rev) if at_sign and _COMMIT.fullmatch(rev) else cls(url=text)
        if "@" in text or "#" in text:
            try:
                Reference.parse(text)
            except InvalidReferenceError:
                return cls(path=text)
            return cls(version=text)
        return cls(path=text)

    def __str__(self) -> str:
        return self.path or self.url or self.version or str(self.digest)


Inputs: TypeAlias = str | Input | Iterable[str | Input]
"""What ``inputs=`` and ``code=`` take."""


def _checked_path(path: str) -> str:
    found = resolve("dvc.yaml", path)
    if found is None or not path.isprintable():
        raise InvalidInputError(
            f"not a path in the repository: {path!r}; write it relative to the Git root. What is outside has a URL "
            "('file:///…' for a path of this machine), and may have a digest: mr.Input(url=…, digest=…)"
        )
    return found


def _checked_url(url: str) -> str:
    shown = public_url(url)
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidInputError(f"not a URL: {shown!r}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInputError(f"not a URL: {shown!r}: {error}") from error
    if not _SCHEME.fullmatch(parts.scheme) or "://" not in url or not (parts.netloc or parts.path):
        raise InvalidInputError(f"not a URL: {shown!r}; one begins with 'https://', 's3://' or the like")
    if has_secrets(url):
        raise InvalidInputError(
            f"the URL {shown!r} was given with credentials, which everybody could read in the log for ever: leave them out"
        )
    return shown if parts.username else url


# -- what was said -----------------------------------------------------------------------------------------


class Declared(NamedTuple):
    """What an author said, understood and not looked up yet."""

    inputs: tuple[Input, ...]
    code: tuple[Input, ...]
    params: Mapping[str, JsonValue]
    metrics: Mapping[str, JsonValue]


def declared(
    inputs: Inputs, code: Inputs, params: Mapping[str, JsonValue], metrics: Mapping[str, JsonValue]
) -> Declared:
    """What an author says, checked as far as that can be done without looking anything up.

    Args:
        inputs: Data and models that it was made from.
        code: Code: paths, and repositories.
        params: The parameters, which JSON can hold.
        metrics: The metrics, which JSON can hold.

    Raises:
        InvalidInputError: Something of it can't be right, or it is too much for an event.
    """
    said = Declared(_all(inputs, "inputs"), _all(code, "code"), params, metrics)
    for each in said.code:
        if each.version is not None:
            raise InvalidInputError(f"code={str(each)!r} is a model version: name it in inputs=")
    raw = _facts(said, _fact)
    size = len(json.dumps(raw.model_dump(mode="json", exclude_defaults=True), separators=(",", ":")))
    if size > MOST_BYTES:
        raise InvalidInputError(
            f"what is declared is {size:,} bytes as JSON, and {MOST_BYTES:,} is the most: commit it as a file of the "
            "project, and name that in inputs="
        )
    return said


Found = tuple[str | None, int | None]
"""The digest and the size of what was looked up, as far as they are known."""


def looked_up(
    said: Declared,
    path: Callable[[str], Found],
    version: Callable[[str], tuple[str, Found]],
) -> DeclaredLineage | None:
    """What the event keeps; None where nothing was said.

    Args:
        said: What the author said.
        path: Looks up a path in the commit.
        version: Looks up a reference; gives also that of the very version.

    Raises:
        RegistryError: What these two raise, of what is not there.
    """
    if not any(said):
        return None

    def look_up(each: Input) -> DeclaredInput:
        if each.path is not None:
            digest, size = path(each.path)
            return _fact(each, digest=digest, size=size)
        if each.version is not None:
            reference, (digest, size) = version(each.version)
            return _fact(each, version=reference, digest=digest, size=size)
        return _fact(each)

    return _facts(said, look_up)


def _facts(said: Declared, fact: Callable[[Input], DeclaredInput]) -> DeclaredLineage:
    return DeclaredLineage(
        inputs=tuple(map(fact, dict.fromkeys(said.inputs))), code=tuple(map(fact, dict.fromkeys(said.code))),
        params=dict(said.params), metrics=dict(said.metrics),
    )  # fmt: skip


def _fact(each: Input, **found: object) -> DeclaredInput:
    said = {field.name: getattr(each, field.name) for field in fields(each)}
    return DeclaredInput.model_validate(said | found)


def _all(items: Inputs, what: str) -> tuple[Input, ...]:
    if isinstance(items, str | Input):
        items = [items]
    try:
        listed = list(items)
    except TypeError as error:
        raise InvalidInputError(f"{what}={items!r}: a text, an mr.Input or a list of them") from error
    return tuple(each if isinstance(each, Input) else Input.parse(each) for each in listed)
