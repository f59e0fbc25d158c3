"""What stands for the bytes of a version: the hash of its one file, or of the canonical manifest of its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from modelregistry.log.events import FileDigest


def manifest_text(files: Sequence[FileDigest]) -> bytes:
    """The canonical manifest: a JSON list by path, sorted keys, no spaces, UTF-8."""
    listed = [
        {"path": file.path, "sha256": file.sha256, "size": file.size}
        for file in sorted(files, key=lambda file: file.path)
    ]
    return json.dumps(listed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def whole_digest(files: Sequence[FileDigest], *, is_directory: bool) -> str:
    """The identity of a version's bytes: of its one file, or of the canonical manifest of its folder."""
    if not is_directory:
        return f"sha256:{files[0].sha256}"
    return f"sha256:{hashlib.sha256(manifest_text(files)).hexdigest()}"
