"""Requests to a registry of containers: who asks, by a token or a password, and never to anybody else."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from modelregistry.errors import ExportError

_TIMEOUT = 300.0
"""Seconds without an answer."""
_MOST = 16 << 20
"""Bytes of an answer that is read: manifests and tokens."""
_SHOWN = 300
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_HELPER = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the registry answered."""

    status: int
    headers: Message
    body: bytes


class _NoRedirectOfWrites(HTTPRedirectHandler):
    """Follows what is read, and nothing that is sent."""

    def redirect_request(self, req: Request, *rest: Any) -> Request | None:
        return super().redirect_request(req, *rest) if req.get_method() in ("GET", "HEAD") else None


class Connection:
    """A registry.

    Args:
        host: Its name, and its port.
        options: ``username`` and ``password``; ``insecure`` for HTTP.
    """

    def __init__(self, host: str, options: Mapping[str, Any]) -> None:
        self._host = host
        self._insecure = bool(options.get("insecure"))
        self._top = f"{'http' if self._insecure else 'https'}://{host}"
        self._options = options
        self._authorization: str | None = None
        self._opener: OpenerDirector = build_opener(_NoRedirectOfWrites)

    def absolute(self, location: str) -> str:
        """A URL that the registry gave, or a path on it."""
        return urljoin(self._top, location)

    def ask(
        self,
        method: str,
        url: str,
        *,
        allowed: Iterable[int],
        body: Iterable[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, authorised where the registry asks for that.

        Raises:
            ExportError: It can't be reached, or answers otherwise than allowed.
        """
        answer = self._send(method, url, body, headers or {})
        if answer.status == 401 and self._authorize(answer.headers.get("WWW-Authenticate") or ""):
            answer = self._send(method, url, body, headers or {})
        if answer.status not in {*allowed}:
            told = answer.body.decode(errors="replace").strip()[:_SHOWN]
            advice = "; 'docker login' there, or pass username and password" if answer.status == 401 else ""
            raise ExportError(
                f"{self._host!r} answered {answer.status} to {method} {urlsplit(url).path!r}: {told!r}{advice}"
            )
        return answer

    def _send(
        self, method: str, url: str, body: Iterable[bytes] | bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (self._insecure and parts.scheme == "http"):
            raise ExportError(f"{self._host!r} sends to {parts.scheme}://{parts.netloc}, which is not HTTPS")
        request = Request(url, data=body, method=method, headers=dict(headers))  # noqa: S310 (checked above)
        if self._authorization is not None and parts.netloc == self._host:
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                data: bytes = answer.read(_MOST)
                if answer.length:  # what is still to come
                    raise IncompleteRead(data, answer.length)
                return Answer(answer.status, answer.headers, data)
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(_MOST))
        except (URLError, OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ExportError(
                f"{self._host!r} can't be reached: {(str(reason) or type(reason).__name__)[:_SHOWN]!r}"
            ) from error

    # -- who asks ------------------------------------------------------------------------------------------

    def _authorize(self, challenge: str) -> bool:
        """Have what the registry asks for; whether there is anything new to show."""
        scheme, _, rest = challenge.partition(" ")
        password = self._password()
        if scheme.lower() == "basic":
            new = password
        elif scheme.lower() == "bearer":
            new = self._token(dict(_CHALLENGE.findall(rest)), password)
        else:
            return False
        found, self._authorization = self._authorization, new
        return new is not None and new != found

    def _token(self, challenge: Mapping[str, str], password: str | None) -> str | None:
        realm = challenge.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme != "https" and not (self._insecure and parts.scheme == "http"):
            return None
        query = urlencode({key: challenge[key] for key in ("service", "scope") if key in challenge})
        request = Request(f"{realm}{'&' if parts.query else '?'}{query}")  # noqa: S310 (checked above)
        if password is not None:
            request.add_unredirected_header("Authorization", password)
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                said = json.loads(answer.read(_MOST))
        except (OSError, ValueError, HTTPException):
            return None
        token = said.get("token") or said.get("access_token") if isinstance(said, dict) else None
        return f"Bearer {token}" if isinstance(token, str) else None

    def _password(self) -> str | None:
        if "username" in self._options:
            pair = f"{self._options['username']}:{self._options.get('password', '')}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        return _logged_in(self._host)


def _logged_in(host: str) -> str | None:
    """What ``docker login`` keeps for a registry."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        said = json.loads((folder / "config.json").read_bytes())
        helper = said.get("credHelpers", {}).get(host) or said.get("credsStore")
        kept = said.get("auths", {}).get(host, {}).get("auth")
    except (OSError, ValueError, AttributeError):
        return None
    if isinstance(kept, str) and kept:
        return f"Basic {kept}"
    return _asked(helper, host) if isinstance(helper, str) else None


def _asked(helper: str, host: str) -> str | None:
    """What one of Docker's credential helpers knows of a registry."""
    program = shutil.which(f"docker-credential-{helper}") if _HELPER.fullmatch(helper) else None
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "get"], input=host.encode(), capture_output=True, check=True, timeout=60
        )
        said = json.loads(done.stdout)
        pair = f"{said['Username']}:{said['Secret']}"
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
        return None
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
