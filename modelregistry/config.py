"""Where the registry is, where this user keeps private files, which stages the team has, and whom this user believes."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from modelregistry.errors import InvalidFileError, InvalidInputError, InvalidSettingsError
from modelregistry.git.repo import GitRepo, file_mark
from modelregistry.givenpath import given_path, given_place
from modelregistry.log.history import DEFAULT_STAGES, Stages
from modelregistry.names import check_stage
from modelregistry.project.yamltext import is_null, parse
from modelregistry.trust.privatefile import doubt_of
from modelregistry.urlsecrets import without_secrets

# Who has no policy need not import what one is made of.
if TYPE_CHECKING:
    from modelregistry.trust.signers import Signers

_VARIABLES = (
    "MODELREGISTRY_URL", "MODELREGISTRY_BACKEND", "MODELREGISTRY_POLICY", "MODELREGISTRY_HOME", "MODELREGISTRY_CACHE",
    "HOME", "XDG_CONFIG_HOME",
)  # fmt: skip
SETTINGS_FILE = ".modelregistry.toml"
GTO_FILE = ".gto"
# What GTO 1.10 reads from its own file (gto/config.py), in lower case.
_GTO_KEYS = {
    "types", "stages", "index", "emojis", "log_level", "debug", "config_file_name", "enrichments",
    "autoload_enrichments",
}  # fmt: skip


class StageSettings(BaseModel):
    """One stage: ``exclusive = false`` lets several versions hold it at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    exclusive: bool = True


class MetadataSettings(BaseModel):
    """Where the JSON Schemas for metadata are, from the Git root, at the commit of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: str | None = None
    """For the metadata of versions."""
    model: str | None = None
    """For the metadata of models as a whole."""


class CardSettings(BaseModel):
    """What ``check(cards=True)`` wants to be said of the current versions."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    required: tuple[str, ...] | None = None
    """Parts of a card; None for those that every card should have."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Those parts. A slip in them is told to who asks for them, and stops nobody who loads a model.

        Raises:
            InvalidSettingsError: A card has no such part.
        """
        from modelregistry.cards.text import PARTS, REQUIRED

        if self.required is None:
            return REQUIRED
        for part in self.required:
            if part not in PARTS:
                raise InvalidSettingsError(
                    f"{SETTINGS_FILE}: cards.required: a card has no part {part!r}; there are {', '.join(PARTS)}"
                )
        return self.required


class Settings(BaseModel):
    """What a team writes down in ``.modelregistry.toml`` at the head of the default branch."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    stages: dict[str, StageSettings] | None = None
    """Lowest first; None where nobody wrote them down."""
    backend: str | None = None
    """The kind of backend that keeps the log, such as ``"postgresql"``; never where it is: that is each user's to say."""
    metadata: MetadataSettings = Field(default_factory=MetadataSettings)
    cards: CardSettings = Field(default_factory=CardSettings)

    @field_validator("stages")
    @classmethod
    def _check_names(cls, stages: dict[str, StageSettings] | None) -> dict[str, StageSettings] | None:
        for name in stages or {}:
            check_stage(name)
        return stages

    @field_validator("backend")
    @classmethod
    def _check_kind(cls, backend: str | None) -> str | None:
        if backend is not None and not re.fullmatch("[a-z][a-z0-9+.-]*", backend):
            raise ValueError(
                "a kind such as 'git' or 'postgresql'; where the log is, each user says, never a repository"
            )
        return backend

    def check_backend(self, kind: str) -> None:
        """Refuse a log of another kind than the team keeps.

        Raises:
            InvalidSettingsError: It is.
        """
        if self.backend not in (None, kind):
            where = "leave backend= out" if self.backend == "git" else f'pass backend="{self.backend}://…"'
            raise InvalidSettingsError(
                f"this registry keeps its log in {self.backend!r}, says {SETTINGS_FILE}, and it was opened with {kind!r}: "
                f"{where}, or see $MODELREGISTRY_BACKEND and config.toml"
            )

    @property
    def rules(self) -> Stages:
        """The stages, as the fold needs them."""
        if self.stages is None:
            return Stages(DEFAULT_STAGES)
        shared = frozenset(name for name, stage in self.stages.items() if not stage.exclusive)
        return Stages(tuple(self.stages), shared, written_down=True)


_TABLES: Mapping[str, type[BaseModel]] = {
    "stages": StageSettings,
    "metadata": MetadataSettings,
    "cards": CardSettings,
}


class UserSettings(BaseModel):
    """What a user writes down in ``config.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    backends: dict[str, str] = {}
    """Where the log of a registry is kept, by the registry's path or URL."""


def parse_settings(text: bytes) -> Settings:
    """The settings in a ``.modelregistry.toml``.

    Raises:
        InvalidSettingsError: Not TOML, an unknown key, or a value that can't be.
    """
    import tomllib

    try:
        return Settings.model_validate(tomllib.loads(text.decode()))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidSettingsError(f"{SETTINGS_FILE}: {_explain(first)}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidSettingsError(f"{SETTINGS_FILE} is not TOML: {error}") from error


def parse_gto_settings(text: bytes) -> Settings:
    """The stages in GTO's ``.gto``: a list, all exclusive; an empty list allows none.

    Raises:
        InvalidSettingsError: GTO would refuse the file.
    """
    try:
        values = parse(text, GTO_FILE) or {}
    except InvalidFileError as error:
        raise InvalidSettingsError(str(error)) from error
    if not isinstance(values, dict):
        raise InvalidSettingsError(f"{GTO_FILE} must hold a mapping such as 'stages: [dev, prod]'")
    lowered = {str(key).lower(): value for key, value in values.items()}
    if unknown := sorted(lowered.keys() - _GTO_KEYS):
        raise InvalidSettingsError(f"{GTO_FILE}: unknown key {unknown[0]!r}: GTO refuses the whole file")
    stages = lowered.get("stages")
    if stages is None or is_null(stages):
        return Settings()
    if not isinstance(stages, list) or not all(isinstance(stage, str) for stage in stages):
        raise InvalidSettingsError(f"{GTO_FILE}: 'stages' must be a list such as [dev, prod]; got {stages!r}")
    try:
        return Settings(stages={stage: StageSettings() for stage in stages})
    except ValidationError as error:
        raise InvalidSettingsError(f"{GTO_FILE}: {_explain(error.errors()[0])}") from error


def _explain(problem: Any, whole: type[BaseModel] = Settings) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}"
    table = _TABLES.get(str(problem["loc"][0]), whole) if len(problem["loc"]) > 1 else whole
    known = list(table.model_fields)
    close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return f"unknown key {where!r}; {hint}"


def read_settings(repo: GitRepo) -> Settings:
    """What the team wrote down at the head of the default branch: in ``.modelregistry.toml``, else in ``.gto``.

    Raises:
        InvalidSettingsError: The file can't be read.
    """
    return read_head(repo)[1]


def read_head(repo: GitRepo) -> tuple[str | None, Settings]:
    """The commit at the head of the default branch, None where there is none, and what the team wrote down there.

    Raises:
        InvalidSettingsError: The file can't be read.
    """
    branches = repo.default_branches()
    files = ("", f":{SETTINGS_FILE}", f":{GTO_FILE}")
    objects = repo.read([f"{branch}{file}" for branch in branches for file in files], limit=1 << 20)
    for commit, own, gto in zip(objects[::3], objects[1::3], objects[2::3], strict=True):
        rev = commit.oid if commit is not None else None
        if own is not None and own.data is not None:
            return rev, parse_settings(own.data)
        if gto is not None and gto.data is not None:
            return rev, parse_gto_settings(gto.data)
        if commit is not None:
            return rev, Settings()
    return None, Settings()


def choose_target(target: str | os.PathLike[str] | None) -> str:
    """The path or URL of the registry: what was passed, else ``$MODELREGISTRY_URL``, else here.

    Raises:
        InvalidInputError: It is neither.
    """
    if target is None:
        return os.environ.get("MODELREGISTRY_URL") or "."
    return given_place(target, "registry")


def read_signers(
    signers: Signers | Mapping[str, str] | str | os.PathLike[str] | None, *, strict: bool = False
) -> Signers | None:
    """The reader's policy: what was passed, else the user's own file (``policy_file``), if there is one.

    Args:
        signers: What was passed.
        strict: Whether there must be one.

    Raises:
        InvalidSettingsError: The file can't be read, is not understood, or others could have written it.
        InvalidInputError: What was passed is no key and no path; or there is no policy to be strict about.
    """
    path = policy_file() if signers is None else None
    if signers is None and path is None:
        if strict:
            raise InvalidInputError(
                "strict=True needs a policy that says whose events count: signers=, $MODELREGISTRY_POLICY, or policy.toml "
                "in your configuration folder"
            )
        return None
    from modelregistry.trust.signers import Signers
    from modelregistry.trust.signertexts import parse_allowed_signers, parse_mapping, parse_policy

    if isinstance(signers, Signers):
        return signers
    if isinstance(signers, Mapping):
        return parse_mapping(signers)
    if path is None:
        if not isinstance(signers, (str, os.PathLike)) or not os.fspath(signers):
            raise InvalidInputError(
                f"signers={signers!r}: it must be the path of a policy, or a mapping of e-mail addresses to keys"
            )
        path = given_path(signers, "signers")
    text = _read_own(path, "policy", "whom you believe")
    parse_text = parse_policy if path.suffix == ".toml" else parse_allowed_signers
    return parse_text(text, os.fspath(path))


def choose_backend(backend: str | None, names: Callable[[], Sequence[str]]) -> str:
    """Where the log is kept: what was passed, else ``$MODELREGISTRY_BACKEND``, else what the user's ``config.toml`` says.

    Args:
        backend: What was passed.
        names: Gives what the file may call the registry.

    Raises:
        InvalidSettingsError: The file can't be read, is not understood, or others could have written it.
    """
    chosen = backend or os.environ.get("MODELREGISTRY_BACKEND")
    path = _config_folder() / "config.toml"
    if chosen or not path.exists():
        return chosen or "git"
    import tomllib

    try:
        found = UserSettings.model_validate(
            tomllib.loads(_read_own(path, "configuration", "where your logs are"))
        )
    except ValidationError as error:
        raise InvalidSettingsError(
            f"{os.fspath(path)!r}: {without_secrets(_explain(error.errors()[0], UserSettings))}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidSettingsError(f"{os.fspath(path)!r} is not TOML: {error}") from None
    backends = {_plain(name): address for name, address in found.backends.items()}
    return next((backends[_plain(name)] for name in names() if _plain(name) in backends), "git")


def _plain(name: str) -> str:
    """A path or URL as it is compared."""
    return name.rstrip("/").removesuffix(".git").rstrip("/")


def _read_own(path: Path, what: str, says: str) -> str:
    """The text of a file that nobody but this user may write.

    Raises:
        InvalidSettingsError: Others may, or it can't be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            facts = os.fstat(file.fileno())
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(f"the {what} {os.fspath(path)!r} can't be read: {error}") from error
    if (doubt := doubt_of(facts)) and not (facts.st_uid == 0 and not facts.st_mode & 0o022):
        raise InvalidSettingsError(f"the {what} {os.fspath(path)!r} is {doubt}: nobody else may say {says}")
    return text


def policy_file() -> Path | None:
    """This user's own policy: ``$MODELREGISTRY_POLICY``, else ``policy.toml`` in the platform's configuration folder."""
    chosen = os.environ.get("MODELREGISTRY_POLICY")
    if chosen:
        return Path(chosen)
    path = _config_folder() / "policy.toml"
    return path if path.exists() else None


def token() -> Hashable:
    """What changes when a registry would be opened otherwise: cheap, since every ``load_model`` asks."""
    values = tuple(map(os.environ.get, _VARIABLES))
    return values, *map(file_mark, _settings_files(values))


@lru_cache(maxsize=4)
def _settings_files(_: tuple[str | None, ...]) -> tuple[Path, ...]:
    """The files that say how, for these values of the variables."""
    folder = _config_folder()
    return policy_file() or folder / "policy.toml", folder / "config.toml"


def _config_folder() -> Path:
    return Path(platformdirs.user_config_dir("modelregistry", appauthor=False))


def cache_folder() -> Path:
    """Where this user's mirrors and fetched bytes are kept: ``$MODELREGISTRY_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("MODELREGISTRY_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("modelregistry", appauthor=False))
