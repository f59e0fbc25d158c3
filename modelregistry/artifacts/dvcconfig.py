"""Where a DVC project keeps its bytes, as its layers of configuration say; read without importing DVC."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelregistry.errors import MissingBytesError
from modelregistry.project.dvcfiles import read_config

_SCHEME = re.compile(r"\w+://")
# The options that DVC resolves against the folder of the file that holds them.
_PATHS = frozenset(
    {
        "cert_path", "configpath", "credentialpath", "dir", "gdrive_service_account_json_file_path",
        "gdrive_user_credentials_file", "key_path", "keyfile", "url",
    }
)  # fmt: skip
# The options that name a command, or a file of AWS settings, which may name one (credential_process).
_RUNS = frozenset({"bearer_token_command", "configpath", "credentialpath"})


@dataclass(frozen=True)
class Project:
    """One DVC project.

    Its committed configuration comes from the repository, so it says where bytes are, and never what to run:
    options that could are taken from the user's own layers only (system, global, ``.dvc/config.local``).
    """

    base: Path | None
    """Its folder on disk, which relative paths lead from; None where there is none."""
    committed: bytes | None
    """The text of its ``.dvc/config``."""
    is_working_copy: bool = True

    @cached_property
    def settings(self) -> Mapping[str, Mapping[str, str]]:
        """All layers as one, later ones first, with paths made absolute where they can be.

        Raises:
            InvalidFileError: A layer can't be read.
        """
        import platformdirs

        system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir("dvc", "iterative")
        user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir("dvc", "iterative")
        folder = self.base / ".dvc" if self.base else None
        layers = [
            (Path(system), _text(Path(system, "config")), False),
            (Path(user), _text(Path(user, "config")), False),
            (folder, self.committed, True),
        ]
        if folder and self.is_working_copy:
            layers.append((folder, _text(folder / "config.local"), False))
        merged: dict[str, dict[str, str]] = {}
        for place, text, is_committed in layers:
            name = os.fspath(place / "config") if place and not is_committed else ".dvc/config"
            for section, options in read_config(text or b"", name).items():
                into = merged.setdefault(section, {})
                for option, value in options.items():
                    if is_committed and option in _RUNS and not _is_harmless(option, options):
                        continue
                    into[option] = _resolved(place, value) if option in _PATHS else value
        return merged

    @property
    def ignored(self) -> tuple[str, ...]:
        """The committed options that are not used because they could run something."""
        return tuple(
            f"{section}.{option}"
            for section, options in read_config(self.committed or b"", ".dvc/config").items()
            for option in options
            if option in _RUNS and not _is_harmless(option, options)
        )

    @cached_property
    def cache(self) -> Path | None:
        """The folder of its cache; None without a working copy, or if it is not on this machine."""
        if self.base is None or not self.is_working_copy:
            return None
        folder = self.settings.get("cache", {}).get("dir")
        if folder and _SCHEME.match(folder):
            return None
        return Path(folder) if folder else self.base / ".dvc" / "cache"

    def remote(self, name: str | None = None) -> tuple[str, dict[str, dict[str, str]]]:
        """The name of a remote, and the options of every remote by name (one can refer to another).

        Raises:
            InvalidFileError: A layer can't be read.
            MissingBytesError: There is no such remote, or it is a folder relative to a repository elsewhere.
        """
        name = (name or self.settings.get("core", {}).get("remote") or "").lower()
        remotes = {
            section.removeprefix("remote."): dict(options)
            for section, options in self.settings.items()
            if section.startswith("remote.")
        }
        known = ", ".join(map(repr, sorted(remotes))) or "none"
        if not name:
            raise MissingBytesError(
                f"the DVC project has no default remote (it has {known}): 'dvc remote add -d NAME URL', commit it, "
                "and 'dvc push' where the bytes are"
            )
        url = remotes.get(name, {}).get("url")
        if not url:
            raise MissingBytesError(f"the DVC project has no remote {name!r} with a URL (it has {known})")
        if not _SCHEME.match(url) and not os.path.isabs(url):
            raise MissingBytesError(
                f"the remote {name!r} is the folder {url!r} relative to a repository that is not on this machine: "
                f"give its place with 'dvc remote modify --global {name} url …'"
            )
        return name, remotes


def _is_harmless(option: str, options: Mapping[str, str]) -> bool:
    # Google's credentials are no settings; and committing their place, relative to the project, is usual.
    return option == "credentialpath" and options.get("url", "").startswith("gs://")


def _resolved(place: Path | None, value: str) -> str:
    if _SCHEME.match(value):
        return value
    expanded = os.path.expanduser(value)
    if place is None or os.path.isabs(expanded):
        return expanded
    return os.path.normpath(place / expanded)


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
