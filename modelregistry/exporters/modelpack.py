"""The JSON of an OCI artifact by the ModelPack specification (v0.0.7): its configuration, its manifest and its index."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelregistry.exporters.base import Source
from modelregistry.log.events import FileDigest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
_CODE = (".py", ".sh", ".ipynb", ".js", ".cpp", ".cu")
_DOCS = (".md", ".rst", ".pdf", ".html")
_DOC_NAMES = ("readme", "license", "licence", "notice", "copying", "changelog")
_SETTINGS = (".json", ".yaml", ".yml", ".toml", ".txt", ".cfg", ".ini", ".xml", ".vocab", ".jinja", ".pbtxt")
_FORMATS = {"joblib": "sklearn", "pickle": "sklearn", "skops": "sklearn", "torch": "pytorch"}


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, and what they are called."""

    data: bytes
    media_type: str

    @property
    def sha256(self) -> str:
        """What they hash to."""
        return hashlib.sha256(self.data).hexdigest()

    def descriptor(self, **more: object) -> dict[str, Any]:
        """What refers to them."""
        return descriptor(self.media_type, self.sha256, len(self.data)) | more


def descriptor(media_type: str, sha256: str, size: int) -> dict[str, Any]:
    """What refers to a blob."""
    return {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}


def kind_of(path: str, *, alone: bool) -> str:
    """What a file of a model is, by its name: ``weight``, ``weight.config``, ``doc`` or ``code``.

    Args:
        path: Its path.
        alone: Whether the model has no other file.
    """
    name = posixpath.basename(path).lower()
    if alone:
        return "weight"
    if name.endswith(_DOCS) or name.split(".")[0] in _DOC_NAMES:
        return "doc"
    if name.endswith(_CODE):
        return "code"
    return "weight.config" if name.endswith(_SETTINGS) else "weight"


def layer(file: FileDigest, path: str, kind: str) -> dict[str, Any]:
    """The layer that is one file as it is; ``oras pull`` and ModelPack's tools give it the name ``path`` again."""
    about = descriptor(layer_type(kind), str(file.sha256), file.size or 0)
    # Untested: it goes by the name.
    return about | {"annotations": layer_notes(path) | {"org.cncf.model.file.mediatype.untested": "true"}}


def layer_type(kind: str) -> str:
    """The media type of a layer that is one file as it is."""
    return f"application/vnd.cncf.model.{kind}.v1.raw"


def layer_notes(path: str) -> dict[str, str]:
    """What tells the name of a file, to ``oras`` and to ModelPack's tools."""
    return {"org.opencontainers.image.title": path, "org.cncf.model.filepath": path}


def config(source: Source, licenses: Sequence[str], layers: Sequence[Mapping[str, Any]]) -> Blob:
    """What the model is, by the specification."""
    version = source.version
    about: dict[str, Any] = {
        "createdAt": _time(version.created_at), "authors": [version.author], "name": version.name,
        "version": version.version.removeprefix("v"), "revision": version.source_rev,
    }  # fmt: skip
    if version.description:
        about["description"] = version.description
    if licenses:
        about["licenses"] = [*licenses]
    loader = source.loader
    said = {
        "descriptor": about,
        "config": {"format": _FORMATS.get(loader, loader)} if loader is not None else {},
        "modelfs": {"type": "layers", "diffIds": [each["digest"] for each in layers]},
    }
    return _json(said, _CONFIG_TYPE)


def manifest(
    source: Source, licenses: Sequence[str], about: Blob, layers: Sequence[Mapping[str, Any]]
) -> Blob:
    """What binds the layers together."""
    version = source.version
    notes = {
        "org.opencontainers.image.created": _time(version.created_at),
        "org.opencontainers.image.title": version.name,
        "org.opencontainers.image.version": version.version.removeprefix("v"),
        "org.opencontainers.image.revision": version.source_rev,
        "org.opencontainers.image.description": version.description,
        "org.opencontainers.image.licenses": " AND ".join(licenses) or None,
        "modelregistry.registry": version.registered.registry,
        "modelregistry.name": version.name,
        "modelregistry.version": version.version,
        "modelregistry.digest": source.digest,
    }
    said = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": about.descriptor(),
        "layers": [*layers],
        "annotations": {key: value for key, value in notes.items() if value},
    }
    return _json(said, MANIFEST_TYPE)


def index(manifest: Blob, tag: str) -> bytes:
    """``index.json`` of an image layout with this one artifact."""
    named = {"org.opencontainers.image.ref.name": tag}
    said = {
        "schemaVersion": 2,
        "mediaType": _INDEX_TYPE,
        "manifests": [manifest.descriptor(artifactType=ARTIFACT_TYPE, annotations=named)],
    }
    return _json(said, _INDEX_TYPE).data


def tag_of(version: str) -> str:
    """A version as a tag, which can't have the ``+`` of build metadata."""
    return version.replace("+", "_")


def _json(value: object, media_type: str) -> Blob:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Blob(text.encode(), media_type)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
