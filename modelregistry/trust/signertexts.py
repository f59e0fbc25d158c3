"""A policy as people write it.

As OpenSSH's ``allowed_signers`` has it (ssh-keygen(1), "ALLOWED SIGNERS"); in TOML, which can also say who may do what;
or as a mapping of addresses to keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from modelregistry.errors import InvalidInputError, InvalidSettingsError
from modelregistry.trust.signers import Requirement, Signer, Signers, matches_list

ACTIONS = ("register", "withdraw", "promote", "annotate", "deprecate")
_GPG = re.compile(r"gpg:((?:[0-9A-F]{40})|(?:[0-9A-F]{64}))")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_KEY_TYPE = re.compile(r"(?:ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+")
_OPTION = re.compile(r'([A-Za-z-]+)(?:="([^"]*)")?')
_LINE = re.compile(
    rf'(?P<principals>"[^"]+"|\S+)\s+(?:(?P<options>{_OPTION.pattern}(?:,{_OPTION.pattern})*)\s+)?'
    rf"(?P<kind>{_KEY_TYPE.pattern})\s+(?P<key>\S+)(?:\s.*)?"
)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)")


class _SignerText(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    principal: str
    key: str
    models: tuple[str, ...] = ("*",)
    may: tuple[str, ...] = ("*",)
    revoked: bool = False
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    @field_validator("key")
    @classmethod
    def _check_key(cls, key: str) -> str:
        return key_id(key)

    @field_validator("may")
    @classmethod
    def _check_may(cls, may: tuple[str, ...]) -> tuple[str, ...]:
        for each in may:
            action, colon, _ = each.partition(":")
            if each != "*" and (action not in ACTIONS or (colon and action != "promote")):
                raise ValueError(f"{each!r} is none of {', '.join(ACTIONS)}, 'promote:<stage>' and '*'")
        return tuple("promote:*" if each == "promote" else each for each in may)

    @field_validator("valid_after", "valid_before")
    @classmethod
    def _check_zone(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("a time without a zone: write 2026-06-01T00:00:00Z")
        return moment


class _RequirementText(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    models: tuple[str, ...] = ("*",)
    stages: tuple[str, ...] | None = None


class _TrustText(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    signers: tuple[str, ...] = ()


class _PolicyText(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    signer: tuple[_SignerText, ...]
    require: tuple[_RequirementText, ...] = (_RequirementText(),)
    registry: str | None = None
    strict: bool = False
    trust: _TrustText = _TrustText()

    @model_validator(mode="after")
    def _check_trust(self) -> Self:
        known = {signer.principal for signer in self.signer}
        for each in self.trust.signers:
            if each not in known:  # a pattern here would be one that nobody reads twice
                raise ValueError(f"trust.signers has {each!r}, and no [[signer]] has that principal")
        return self


def parse_policy(text: str, name: str) -> Signers:
    """The policy in a TOML file: ``[[signer]]``, ``[[require]]``, ``[trust]``, ``registry``, ``strict``.

    Raises:
        InvalidSettingsError: Not TOML, an unknown key, or a value that can't be.
    """
    import tomllib

    try:
        values = _PolicyText.model_validate(tomllib.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidSettingsError(f"{name}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidSettingsError(f"{name} is not TOML: {error}") from error
    return Signers(
        tuple(Signer(**dict(each)) for each in values.signer),
        tuple(Requirement(**dict(each)) for each in values.require),
        values.registry, values.strict, values.trust.signers,
    )  # fmt: skip


def parse_mapping(keys: Mapping[str, str]) -> Signers:
    """The policy that a mapping of e-mail addresses to keys is: everything must be signed, and each may do everything.

    Raises:
        InvalidInputError: It names nobody, or has what is no address or no key.
    """
    found = []
    for principal, key in keys.items():
        try:
            if not isinstance(principal, str) or not principal.strip():
                raise ValueError(f"not an e-mail address: {principal!r}")
            if not isinstance(key, str):
                raise ValueError(f"not a key: {key!r}")
            found.append(Signer(principal, key_id(key)))
        except ValueError as error:
            raise InvalidInputError(f"signers[{principal!r}]: {error}") from error
    if not found:
        raise InvalidInputError(
            "signers={}: it names nobody, so that nothing would count; leave it out for no policy"
        )
    return Signers(tuple(found))


def parse_allowed_signers(text: str, name: str) -> Signers:
    """The policy that an ``allowed_signers`` file is: everything must be signed, and each of its keys may do everything.

    Raises:
        InvalidSettingsError: A line that is not understood: better no answer than a wrong one.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                signer = _parse_line(line)
            except ValueError as error:
                raise InvalidSettingsError(f"{name}, line {number}: {error}") from error
            found += [signer] if signer is not None else []
    return Signers(tuple(found))


def _parse_line(line: str) -> Signer | None:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError("it must be: principals, options, the type of the key, the key")
    options = {name.lower(): value for name, value in _OPTION.findall(match["options"] or "")}
    if unknown := options.keys() - {"namespaces", "valid-after", "valid-before"}:
        raise ValueError(f"the option {min(unknown)!r} is not supported")
    if not matches_list("git", options.get("namespaces", "git")):
        return None
    return Signer(
        match["principals"].strip('"'), key_id(f"{match['kind']} {match['key']}"),
        valid_after=_moment(options.get("valid-after")), valid_before=_moment(options.get("valid-before")),
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    """A time as OpenSSH writes it: in the local zone unless there is a Z."""
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}; as in 20260601 or 20260601120000Z")
    *digits, zone = match.groups()
    year, month, day, hour, minute, second = (int(each or 0) for each in digits)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC if zone else None)
    return moment if zone else moment.astimezone()


def key_id(key: str) -> str:
    """What a key is called: its fingerprint. An SSH key may be written out (``ssh-ed25519 AAAA…``).

    Raises:
        ValueError: It is none.
    """
    text = key.strip()
    if _FINGERPRINT.fullmatch(text):
        return text
    if text.lower().startswith("gpg:"):
        compact = "gpg:" + "".join(text[4:].split()).upper()
        if _GPG.fullmatch(compact):
            return compact
    kind, _, rest = text.partition(" ")
    if _KEY_TYPE.fullmatch(kind) and rest:
        try:
            blob = base64.b64decode(rest.split()[0], validate=True)
        except binascii.Error as error:
            raise ValueError(f"not an SSH key: {text[:40]!r}") from error
        if blob[4 : 4 + len(kind)] == kind.encode():
            digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            return f"SHA256:{digest}"
    raise ValueError(
        f"not a key: {text[:40]!r}; write an SSH key out ('ssh-ed25519 AAAA…'), or 'SHA256:' and its fingerprint, or "
        "'gpg:' and the whole fingerprint of a GPG key"
    )
