"""Spelling: model names, SemVer versions, stages, and references that name a version.

What may be read is GTO's grammar; what may be written is narrower: it must also survive as a Git reference
(``git check-ref-format``) and come back unchanged. Versions are SemVer 2.0 (https://semver.org) after a ``v``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from modelregistry.display.shown import Shown
from modelregistry.errors import InvalidInputError, InvalidNameError, InvalidReferenceError

# The alphabets of GTO 1.10 (gto/constants.py), so that whatever GTO reads, we read.
NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-/_]*[a-zA-Z0-9])?"
FOLDER = r"[a-zA-Z0-9\-_./]+"
VERSION = (
    r"v(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)

FIRST_VERSION = "v0.1.0"
LATEST = "latest"
INACTIVE = "inactive"
WITHDRAWN = "withdrawn"
Bump = Literal["major", "minor", "patch"]

_MODEL = re.compile(rf"(?:{FOLDER}:)?{NAME}")
_STAGE = re.compile(NAME)
_VERSION = re.compile(VERSION)
_LONGEST_MODEL, _LONGEST_VERSION, _LONGEST_STAGE = 120, 60, 40  # Git stops at 250 for the whole tag

VersionKey = tuple[int, int, int, bool, tuple[tuple[int, int, str], ...], str]


def check_model(name: str) -> str:
    """The name itself, if a model may have it: ``churn``, ``team/churn``, or ``folder:churn`` in a monorepo.

    Raises:
        InvalidNameError: Git or GTO would refuse it or change it.
    """
    if not isinstance(name, str) or not _MODEL.fullmatch(name):
        raise InvalidNameError(
            f"not a model name: {name!r}; use letters, digits, '-', '_' and '/', first and last a letter or digit, "
            "after 'folder:' where dvc.yaml is in a folder"
        )
    _check_as_ref("model name", name, name.replace(":", "="), _LONGEST_MODEL)
    if "/:" in name:
        raise InvalidNameError(f"not a model name: {name!r}; write the folder without the last '/'")
    return name


def check_stage(name: str) -> str:
    """The name itself, if a stage may have it.

    Raises:
        InvalidNameError: Git or GTO would refuse it, or it is a state that no stage gives.
    """
    if not isinstance(name, str) or not _STAGE.fullmatch(name):
        raise InvalidNameError(
            f"not a stage: {name!r}; use letters, digits, '-', '_' and '/', first and last a letter or digit"
        )
    if name in (INACTIVE, WITHDRAWN):
        raise InvalidNameError(f"not a stage: {name!r} is the state of a version that holds no stage")
    _check_as_ref("stage", name, name, _LONGEST_STAGE)
    return name


def check_path(path: str) -> str:
    """The path itself, if it is one in the repository, from its root.

    Raises:
        InvalidInputError: It leaves the repository, or is not spelt in the one way there is.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or not path.isprintable():
        raise InvalidInputError(f"not a path in the repository: {path!r}; write it relative to the Git root")
    return path


def check_version(text: str) -> str:
    """The text itself, if it is a version: SemVer 2.0 after a ``v``.

    Raises:
        InvalidNameError: It is not, or Git would refuse it.
    """
    if not isinstance(text, str) or not _VERSION.fullmatch(text):
        hint = (
            f"write {'v' + text!r}"
            if isinstance(text, str) and _VERSION.fullmatch(f"v{text}")
            else "as in 'v1.2.0'"
        )
        raise InvalidNameError(f"not a version: {text!r}; a version is SemVer with a leading 'v': {hint}")
    _check_as_ref("version", text, f"@{text}", _LONGEST_VERSION)
    return text


def _check_as_ref(what: str, text: str, path: str, longest: int) -> None:
    """Refuse what fits GTO's alphabet and not Git's rules for references."""
    parts = path.split("/")
    if len(text) > longest:
        raise InvalidNameError(f"not a {what}: {text!r} has {len(text)} characters; {longest} is the most")
    if ".." in path or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        raise InvalidNameError(
            f"not a {what}: {text!r}; Git refuses '..', '//', and parts that start with '.' or end in '.lock'"
        )


@lru_cache(maxsize=16384)
def version_key(version: str) -> VersionKey:
    """What versions sort by: SemVer precedence, then the build metadata as text.

    A pre-release comes before its release; in it numbers come before words (https://semver.org, rule 11).
    """
    import semver  # late: it brings its command line along, and most reads compare no versions

    parsed = semver.Version.parse(version[1:])
    identifiers = parsed.prerelease.split(".") if parsed.prerelease else []
    keys = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in identifiers)
    return parsed.major, parsed.minor, parsed.patch, not keys, keys, parsed.build or ""


def is_prerelease(version: str) -> bool:
    """Whether the version is a pre-release, such as ``v2.0.0-rc.1``."""
    return not version_key(version)[3]


def bumped(version: str, bump: Bump) -> str:
    """The version after ``version``: pre-release and build metadata are dropped, as GTO does.

    Raises:
        InvalidNameError: ``bump`` is another word.
    """
    if bump not in ("major", "minor", "patch"):
        raise InvalidNameError(f"not a bump: {bump!r}; use 'major', 'minor' or 'patch'")
    import semver

    release = semver.Version.parse(version[1:]).replace(prerelease=None, build=None)
    return f"v{getattr(release, f'bump_{bump}')()}"


@dataclass(frozen=True, slots=True, repr=False)
class Reference(Shown):
    """A string that names a version of a model, taken apart.

    Exactly one of ``version`` and ``stage`` is set; neither means the latest version.
    """

    model: str
    version: str | None = None
    stage: str | None = None

    def __str__(self) -> str:
        if self.stage is not None:
            return f"{self.model}#{self.stage}"
        return f"{self.model}@{self.version or LATEST}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """From ``churn``, ``churn@v1.2.0``, ``churn@latest``, ``churn#current``, or MLflow's ``models:/churn@current``.

        Raises:
            InvalidReferenceError: It is none of them.
        """
        if not isinstance(text, str):
            raise InvalidReferenceError(
                f"not a reference: {text!r}; a reference is text such as 'churn#current'"
            )
        try:
            if text.startswith("models:/"):
                return cls._parse_mlflow(text.removeprefix("models:/"))
            model, hash_sign, stage = text.partition("#")
            if hash_sign:
                return cls(check_model(model), stage=check_stage(stage))
            model, at_sign, version = text.partition("@")
            if not at_sign or version in (LATEST, "greatest"):
                return cls(check_model(model))
            return cls(check_model(model), version=check_version(version))
        except InvalidNameError as error:
            raise InvalidReferenceError(
                f"not a reference: {text!r} ({error}); write 'churn', 'churn@v1.2.0', 'churn@latest' or 'churn#current'"
            ) from error

    @classmethod
    def _parse_mlflow(cls, text: str) -> Reference:
        """MLflow's ``models:/name@alias`` is a stage of ours, ``models:/name/v1.2.0`` a version."""
        model, at_sign, alias = text.partition("@")
        if at_sign:
            return cls(check_model(model), stage=check_stage(alias))
        model, slash, version = text.rpartition("/")
        if slash and version == LATEST:
            return cls(check_model(model))
        if slash and version.isdigit():
            raise InvalidNameError(f"MLflow's version number {version} is no version here")
        if slash and _VERSION.fullmatch(version):
            return cls(check_model(model), version=check_version(version))
        return cls(check_model(text))
