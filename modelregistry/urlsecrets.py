"""What opens doors in a URL, and the URL without it: for messages, for what is recorded, and to be refused."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

_NAMES = "sig|token|secret|passw|credential|key|auth"
SECRET = re.compile(_NAMES, re.IGNORECASE)
"""What is called like this is a secret."""
_VALUE = re.compile(rf"([?&][\w.-]*(?:{_NAMES})[\w.-]*=)[^&\s'\"#]+", re.IGNORECASE)
_NAMED = frozenset(["ssh", "git+ssh", "sftp", "hdfs", "webhdfs"])
"""Where a URL may say who is asking, which is no secret."""


def without_secrets(text: str) -> str:
    """``text`` with no name or password left in its URLs, nor what their queries call a token, a key or a signature."""
    return _VALUE.sub(r"\1***", re.sub(r"://[^\s'\"]*@", "://", text))


def public_url(text: str) -> str:
    """A URL without the name, the password and the signature that it may carry; what is none stays."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text.partition("?")[0].rpartition("@")[2]
    place = parts.netloc.rpartition("@")[2]
    signed = _is_signed(parts.query)
    if place == parts.netloc and not signed:
        return text  # as it was written: what is put together again may lose the slashes of "memory:///x"
    if not parts.scheme:
        return text.partition("?")[0].rpartition("@")[2]
    query = f"?{parts.query}" if parts.query and not signed else ""
    return f"{parts.scheme}://{place}{parts.path}{query}{f'#{parts.fragment}' if parts.fragment else ''}"


def has_secrets(url: str) -> bool:
    """Whether a URL carries a password, a signature, or a name that may be a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    named = parts.username is not None and parts.scheme not in _NAMED
    signed = _is_signed(parts.query)
    return named or parts.password is not None or signed


def _is_signed(query: str) -> bool:
    return any(SECRET.search(key) for key, _ in parse_qsl(query, keep_blank_values=True))
