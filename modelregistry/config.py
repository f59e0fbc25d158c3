"""Where the registry is, where this user keeps private files, which stages the team has, and whom this user believes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from modelregistry.errors import InvalidFileError, InvalidInputError, InvalidSettingsError
from modelregistry.gitrepo import GitRepo
from modelregistry.history import DEFAULT_STAGES, Stages
from modelregistry.names import check_stage
from modelregistry.privatefile import doubt_of
from modelregistry.yamltext import is_null, parse

# Who has no policy need not import what one is made of.
if TYPE_CHECKING:
    from modelregistry.signers import Signers

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


class Settings(BaseModel):
    """What a team writes down in ``.modelregistry.toml`` at the head of the default branch."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    stages: dict[str, StageSettings] | None = None
    """Lowest first; None where nobody wrote them down."""

    @field_validator("stages")
    @classmethod
    def _check_names(cls, stages: dict[str, StageSettings] | None) -> dict[str, StageSettings] | None:
        for name in stages or {}:
            check_stage(name)
        return stages

    @property
    def rules(self) -> Stages:
        """The stages, as the fold needs them."""
        if self.stages is None:
            return Stages(DEFAULT_STAGES)
        shared = frozenset(name for name, stage in self.stages.items() if not stage.exclusive)
        return Stages(tuple(self.stages), shared, written_down=True)


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


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}"
    known = list(StageSettings.model_fields if len(problem["loc"]) > 1 else Settings.model_fields)
    close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return f"unknown key {where!r}; {hint}"


def read_stages(repo: GitRepo) -> Stages:
    """The stages at the head of the default branch: of ``.modelregistry.toml``, else of ``.gto``, else the default ones.

    Raises:
        InvalidSettingsError: The file can't be read.
    """
    branches = repo.default_branches()
    files = ("", f":{SETTINGS_FILE}", f":{GTO_FILE}")
    objects = repo.read([f"{branch}{file}" for branch in branches for file in files], limit=1 << 20)
    for commit, own, gto in zip(objects[::3], objects[1::3], objects[2::3], strict=True):
        if own is not None and own.data is not None:
            return parse_settings(own.data).rules
        if gto is not None and gto.data is not None:
            return parse_gto_settings(gto.data).rules
        if commit is not None:
            break
    return Stages()


def choose_target(target: str | os.PathLike[str] | None) -> str:
    """The path or URL of the registry: what was passed, else ``$MODELREGISTRY_URL``, else here."""
    return os.fspath(target) if target is not None else os.environ.get("MODELREGISTRY_URL") or "."


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
    from modelregistry.signers import Signers
    from modelregistry.signertexts import parse_allowed_signers, parse_mapping, parse_policy

    if isinstance(signers, Signers):
        return signers
    if isinstance(signers, Mapping):
        return parse_mapping(signers)
    if path is None:
        if not isinstance(signers, (str, os.PathLike)) or not os.fspath(signers):
            raise InvalidInputError(
                f"signers={signers!r}: it must be the path of a policy, or a mapping of e-mail addresses to keys"
            )
        path = Path(signers)
    try:
        with open(path, encoding="utf-8") as file:
            facts = os.fstat(file.fileno())
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(f"the policy {os.fspath(path)!r} can't be read: {error}") from error
    if (doubt := doubt_of(facts)) and not (facts.st_uid == 0 and not facts.st_mode & 0o022):
        raise InvalidSettingsError(
            f"the policy {os.fspath(path)!r} is {doubt}: nobody else may say whom you believe"
        )
    parse_text = parse_policy if path.suffix == ".toml" else parse_allowed_signers
    return parse_text(text, os.fspath(path))


def policy_file() -> Path | None:
    """This user's own policy: ``$MODELREGISTRY_POLICY``, else ``policy.toml`` in the platform's configuration folder."""
    chosen = os.environ.get("MODELREGISTRY_POLICY")
    if chosen:
        return Path(chosen)
    path = Path(platformdirs.user_config_dir("modelregistry", appauthor=False)) / "policy.toml"
    return path if path.exists() else None


def cache_folder() -> Path:
    """Where this user's mirrors and fetched bytes are kept: ``$MODELREGISTRY_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("MODELREGISTRY_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("modelregistry", appauthor=False))
