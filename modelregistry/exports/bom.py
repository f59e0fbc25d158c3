"""A bill of materials of a version: CycloneDX 1.6, with a model card, the data it was made from and what it was made with."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from modelregistry.cards.card import CardFacts
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node, flat
from modelregistry.log.events import FileDigest
from modelregistry.metadata.licenses import expression, licenses
from modelregistry.metadata.signature import Column
from modelregistry.version import ModelVersion

SPEC = "1.6"
BOM = "bom.cdx.json"
_HASHES = {"md5": ("MD5", 32), "sha256": ("SHA-256", 64)}
_PYTHON = "python"
_MOST_SHOWN = 1000
"""Characters of one value."""


def cyclonedx(
    version: ModelVersion, files: Sequence[FileDigest], lineage: Lineage, card: CardFacts, digest: str | None
) -> dict[str, Any]:
    """The bill of materials, as JSON. The same for the same version and metadata, whenever it is written.

    Args:
        version: The version.
        files: Its files.
        lineage: What it was made from.
        card: What its model card tells.
        digest: The identity of its bytes, if that is known.
    """
    data = [_data(node) for node in lineage.datasets]
    libraries = [_library(name, number) for name, number in sorted((version.environment or {}).items())]
    model = _model(version, files, lineage, card, digest, [each["bom-ref"] for each in data])
    name = f"{version.registered.registry}/{version.reference}/{digest or version.rev}"
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}",
        "version": 1,
        "metadata": {
            "timestamp": version.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "modelregistry"}]},
            "component": model,
        },
        "components": [*data, *libraries],
        "dependencies": [
            {
                "ref": model["bom-ref"],
                "dependsOn": sorted({each["bom-ref"] for each in (*data, *libraries)}),
            }
        ],
    }


def bom_text(bom: Mapping[str, Any]) -> bytes:
    """The same, as a file."""
    return json.dumps(bom, indent=2, ensure_ascii=False).encode() + b"\n"


def _model(
    version: ModelVersion,
    files: Sequence[FileDigest],
    lineage: Lineage,
    card: CardFacts,
    digest: str | None,
    data: Sequence[str],
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{version.reference}",
        "name": version.name,
        "version": version.version,
        "authors": [{"name": version.author}],
    }
    if version.description:
        found["description"] = version.description
    if digest is not None:
        found["hashes"] = _hashes(digest)
    if under := _licenses(licenses(version.metadata) or tuple(filter(None, [card.text.license]))):
        found["licenses"] = under
    if version.labels:
        found["tags"] = [*version.labels]
    found["components"] = [
        {
            "type": "file",
            "bom-ref": f"file:{file.path}",
            "name": file.path,
            "hashes": _hashes(f"sha256:{file.sha256}"),
        }
        for file in files
        if file.sha256
    ]
    found["modelCard"] = _card(version, lineage, card, data)
    found["properties"] = _properties(
        {
            "modelregistry:registry": version.registered.registry,
            "modelregistry:rev": version.rev,
            "modelregistry:source_rev": version.source_rev,
            "modelregistry:path": version.path,
            "modelregistry:contact": card.text.contact,
        }
    )
    return found


def _card(version: ModelVersion, lineage: Lineage, known: CardFacts, data: Sequence[str]) -> dict[str, Any]:
    signature, text = version.signature, known.text
    about: dict[str, Any] = {"datasets": [{"ref": ref} for ref in data], "task": text.pipeline_tag}
    if signature is not None:
        about["inputs"] = [{"format": _column(column)} for column in signature.inputs]
        about["outputs"] = [{"format": _column(column)} for column in signature.outputs]
    card: dict[str, Any] = {"modelParameters": {key: value for key, value in about.items() if value}}
    if known.metrics:
        metrics = [{"type": name, "value": str(value)} for name, value in sorted(known.metrics.items())]
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    said = {"useCases": text.intended_use, "technicalLimitations": text.limits}
    if any(said.values()):
        card["considerations"] = {key: [value] for key, value in said.items() if value}
    params = {
        f"modelregistry:param:{node.name}:{key}": str(value)
        for node in lineage.params
        for key, value in flat(node.values)
    }
    if params:
        card["properties"] = _properties(params)
    return card


def _data(node: Node) -> dict[str, Any]:
    """A data set, as a component that the model card refers to."""
    facts = {
        "modelregistry:repository": node.repository,
        "modelregistry:rev": node.rev,
        "modelregistry:path": node.path,
        "modelregistry:digest": node.digest,
        "modelregistry:version": node.version,
        "modelregistry:status": None if node.is_recorded else node.status,
        "modelregistry:note": node.note,
    }
    found: dict[str, Any] = {
        "type": "data",
        "bom-ref": f"data:{node.id}",
        "name": node.name,
        "data": [{"type": "dataset", "name": node.name}],
        "properties": _properties(facts),
    }
    if hashes := _hashes(node.digest or ""):
        found["hashes"] = hashes
    return found


def _library(name: str, number: str) -> dict[str, Any]:
    """A distribution that the model was made with."""
    if name.lower() == _PYTHON:
        return {"type": "platform", "bom-ref": "platform:python", "name": "Python", "version": number}
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    purl = f"pkg:pypi/{canonical}@{number.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": number, "purl": purl}


def _hashes(digest: str) -> list[dict[str, str]]:
    """A digest that is the hash of a file's bytes; nothing for others, such as of a folder in DVC or in Git."""
    algorithm, _, value = digest.partition(":")
    name, length = _HASHES.get(algorithm, ("", 0))
    if not re.fullmatch(rf"[0-9a-f]{{{length}}}", value) or not name:
        return []
    return [{"alg": name, "content": value}]


def _licenses(found: Sequence[str]) -> list[dict[str, Any]]:
    if len(found) == 1 and (spdx := expression(found[0])) is not None:
        return [{"expression": spdx}]
    return [{"license": {"name": each}} for each in found]


def _column(column: Column) -> str:
    """An input or output in one line: ``petal_length: float64[?, 4]``."""
    shape = (
        "" if column.shape is None else f"[{', '.join('?' if n is None else str(n) for n in column.shape)}]"
    )
    kind = f"{column.type or 'unknown'}{shape}"
    return f"{column.name}: {kind}" if column.name is not None else kind


def _properties(values: Mapping[str, str | None]) -> list[dict[str, str]]:
    return [{"name": name, "value": value[:_MOST_SHOWN]} for name, value in _known(values.items())]


def _known(pairs: Iterable[tuple[str, str | None]]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in pairs if value)
