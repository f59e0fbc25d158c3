"""How this user, not a repository, wants remotes reached: with which programs, and by nothing that leads elsewhere."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from modelregistry.errors import InvalidSettingsError
from modelregistry.git.call import read_settings
from modelregistry.urlsecrets import without_secrets

_SSH = "ssh -oBatchMode=yes"  # the agent answers, or nobody
_OWN_SCOPES = ("system", "global", "command")  # what the user set, not what the repository says
_PROTOCOLS = "https:http:ssh:file"
_WEB = ("http://", "https://")
_REWRITES = re.compile(r"url\..*\.(push)?insteadof", re.DOTALL)
_LEADS_ELSEWHERE = re.compile(
    r"http\.(.*\.)?(proxy\w*|(ssl|schannel)\w*|cookiefile|savecookies|curloptresolve|delegation)", re.DOTALL
)


class Transport:
    """How this user, not a repository, wants remotes reached.

    Args:
        run: Calls git with arguments and returns what it prints.
    """

    def __init__(self, run: Callable[..., bytes]) -> None:
        self._run = run

    @cached_property
    def _settings(self) -> Sequence[tuple[str, str, str]]:
        """Scope, key and value of what matters here."""
        return read_settings(
            self._run, r"^(core\.(sshcommand|askpass)|credential\..*|http\..*|remote\..*|url\..*)$"
        )

    @property
    def _own(self) -> Sequence[tuple[str, str]]:
        """Key and value of what the user set, not of what the repository says."""
        return [(key, value) for scope, key, value in self._settings if scope in _OWN_SCOPES]

    def check(self, url: str) -> None:
        """Refuse to call a URL that the repository's own configuration would lead elsewhere.

        Raises:
            InvalidSettingsError: It names a proxy, or what is to be believed of certificates; or another URL in place of
                this one; or settings of a remote whose name is this URL.
        """
        for scope, key, value in self._settings:
            if scope not in _OWN_SCOPES and (
                key.startswith(f"remote.{url}.")
                or (_LEADS_ELSEWHERE.fullmatch(key) and self._is_web(url))
                or (_REWRITES.fullmatch(key) and url.startswith(value))
            ):
                del self._settings  # so that they are read again once they were mended
                raise InvalidSettingsError(
                    f"the repository's own configuration has {without_secrets(key)!r}, which may lead what is sent to "
                    f"{without_secrets(url)} elsewhere: 'git config --unset-all' takes it away, and 'git config --global' "
                    "sets it for you, if it is yours"
                )

    def _is_web(self, url: str) -> bool:
        """Whether git reaches the URL by http; the user's own settings may put such a one in its place."""
        return url.startswith(_WEB) or any(
            _REWRITES.fullmatch(key) and key.removeprefix("url.").startswith(_WEB) and url.startswith(value)
            for key, value in self._own
        )

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The programs that git calls, and its credential helpers, said where a repository can't say otherwise."""
        own = dict(self._own)
        program = os.environ.get("GIT_SSH")
        return {
            "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
            "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND")
            or own.get("core.sshcommand")
            or (shlex.quote(program) if program else _SSH),
            "GIT_ASKPASS": os.environ.get("GIT_ASKPASS") or own.get("core.askpass") or "true",
            **self._credentials,
        }

    @property
    def _credentials(self) -> Mapping[str, str]:
        # Not as arguments, which everybody on the machine can read: a helper may hold a secret.
        own = [(key, value) for key, value in self._own if key.startswith("credential.")]
        start = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        variables: dict[str, str] = {}
        # An empty helper forgets those named before it; then come the user's own, in their order.
        for number, (key, value) in enumerate([("credential.helper", ""), *own], start=start):
            variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return variables | {"GIT_CONFIG_COUNT": str(start + 1 + len(own))}
