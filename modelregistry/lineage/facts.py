"""What the nodes of a lineage say: whether a file is code or data, a URL without its secrets, the numbers of a metrics file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

from pydantic import JsonValue

from modelregistry.lineage.node import Edge, Kind
from modelregistry.project.dvcfiles import Dep
from modelregistry.urlsecrets import SECRET, public_url

# A file in Git is data where its name ends so: tables, lines, arrays, pictures, sound, archives, models. All else is
# code, and so are settings in YAML and TOML, and the lists of what pip installs.
_DATA = frozenset(
    [
        "arff",
        "arrow",
        "avro",
        "csv",
        "dat",
        "data",
        "db",
        "dta",
        "feather",
        "json",
        "jsonl",
        "ndjson",
        "ods",
        "orc",
        "parquet",
        "rda",
        "rdata",
        "rds",
        "sas7bdat",
        "sav",
        "sqlite",
        "tsv",
        "txt",
        "xls",
        "xlsx",
        "xml",
        "geojson",
        "shp",
        "h5",
        "hdf5",
        "mat",
        "nc",
        "npy",
        "npz",
        "tfrecord",
        "zarr",
        "bmp",
        "gif",
        "jpeg",
        "jpg",
        "png",
        "tif",
        "tiff",
        "webp",
        "avi",
        "flac",
        "mp3",
        "mp4",
        "ogg",
        "wav",
        "7z",
        "bz2",
        "gz",
        "tar",
        "tgz",
        "xz",
        "zip",
        "zst",
        "bin",
        "ckpt",
        "joblib",
        "onnx",
        "pickle",
        "pkl",
        "pt",
        "pth",
        "safetensors",
        "skops",
    ]
)
_NO_DATA = ("requirements", "constraints", "cmakelists")
_MOST_DEPTH = 32


# -- files -------------------------------------------------------------------------------------------------


def kind_in_git(paths: Iterable[str]) -> Kind:
    """Whether a file, or a folder with these files, is a ``dataset``, which all of them must be, or ``code``."""
    found = list(paths)
    return "dataset" if found and all(map(_is_data, found)) else "code"


def _is_data(path: str) -> bool:
    name = posixpath.basename(path).lower()
    return posixpath.splitext(name)[1][1:] in _DATA and not name.startswith(_NO_DATA)


# -- places ------------------------------------------------------------------------------------------------


def public_facts(value: object, depth: int = 0) -> JsonValue:
    """Recorded facts with their URLs made public, and without what is named like a secret."""
    if isinstance(value, dict) and depth < _MOST_DEPTH:
        return {
            str(key): public_facts(item, depth + 1)
            for key, item in value.items()
            if not SECRET.search(str(key)) or isinstance(item, dict | list)
        }
    if isinstance(value, list) and depth < _MOST_DEPTH:
        return [public_facts(item, depth + 1) for item in value]
    if isinstance(value, str):
        return public_url(value)
    return value if isinstance(value, int | float | bool | None) else str(value)


def source_values(dep: Dep) -> Mapping[str, JsonValue]:
    """What is recorded of something outside Git."""
    values: dict[str, JsonValue] = {
        "etag": dep.etag,
        "version_id": dep.version_id,
        "checksum": dep.checksum,
        "nfiles": dep.nfiles,
    }
    facts = public_facts(dict(dep.facts))
    return {key: value for key, value in values.items() if value is not None} | (
        facts if isinstance(facts, dict) else {}
    )


def said_sources(metadata: Mapping[str, JsonValue]) -> list[str]:
    """Where a registration says that something came from, which DVC need not know."""
    origin = metadata.get("origin")
    if not isinstance(origin, dict) or "rev_lock" in origin:  # what was imported is followed
        return []
    return [each for key in ("url", "said") if isinstance(each := origin.get(key), str) and each]


# -- values ------------------------------------------------------------------------------------------------


def measured(document: object) -> Mapping[str, JsonValue]:
    """What DVC shows of a metrics file: numbers and texts, nested, without lists and nulls."""
    found = _measured(document)
    if isinstance(found, dict):
        return found
    return {} if found is None else {"value": found}


def _measured(value: object) -> JsonValue:
    if isinstance(value, int | float | str):
        return value
    if not isinstance(value, dict):
        return None
    found = {str(key): _measured(item) for key, item in value.items()}
    return {key: item for key, item in found.items() if item not in (None, {})}


def commit_values(data: bytes) -> dict[str, JsonValue]:
    """Who made a commit, when, and its subject."""
    header, _, message = data.decode("utf-8", "replace").partition("\n\n")
    match = re.search(r"^author (.*) <([^>]*)> (-?[0-9]{1,12}) ([-+][0-9]{4})$", header, re.MULTILINE)
    values: dict[str, JsonValue] = {}
    if match is not None:
        minutes = int(match[4][1:3]) * 60 + int(match[4][3:])
        zone = timezone((-1 if match[4][0] == "-" else 1) * timedelta(minutes=min(minutes, 1439)))
        try:
            values = {"author": match[1], "time": datetime.fromtimestamp(int(match[3]), zone).isoformat()}
        except (ValueError, OverflowError, OSError):
            values = {"author": match[1]}
    subject = next(iter(message.strip().splitlines()), "")
    return values | ({"message": subject} if subject else {})


# -- the graph ---------------------------------------------------------------------------------------------


def closing_edges(start: str, edges: Iterable[Edge]) -> list[Edge]:
    """The edges that lead from something back to what was made from it, as one goes from ``start`` to its sources."""
    sources: dict[str, list[Edge]] = {}
    for edge in edges:
        sources.setdefault(edge.made, []).append(edge)
    closing: list[Edge] = []
    done: set[str] = set()
    for first in [start, *sources]:
        if first in done:
            continue
        path = {first: iter(sources.get(first, ()))}
        while path:
            here = next(reversed(path))
            for edge in path[here]:
                if edge.source in path:
                    closing.append(edge)
                elif edge.source not in done:
                    path[edge.source] = iter(sources.get(edge.source, ()))
                    break
            else:
                done.add(here)
                del path[here]
    return closing
