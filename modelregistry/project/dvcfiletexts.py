"""The text of ``*.dvc`` files as DVC itself would write it: of what was added, and of what was imported from a repository."""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import DvcFile, ListedFile, listing_md5, read_dvc_file
from modelregistry.project.yamltext import as_mapping, decoded_text, parse, typed

META = "modelregistry"
"""Under which name in ``meta:`` our own facts are; DVC keeps that section, and reads nothing in it."""
# What is left out of DVC's md5 over such a file: of the whole, and anywhere in it (dvc.stage.utils.compute_md5).
_NO_STAGE = frozenset({"md5", "meta", "desc", "frozen", "locked"})
_NO_MATTER = frozenset(
    {"desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles"}
)
# The endings that loaders go by may have two parts: model.tar.gz, model.weights.h5.
_SUFFIX = re.compile(r"(?:\.[A-Za-z][A-Za-z_]{0,15})?\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,15}$")
_NO_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Tracked:
    """The bytes that a ``*.dvc`` file tracks."""

    md5: str
    """With ``.dir`` at the end for a folder."""
    size: int
    nfiles: int | None = None
    """How many files a folder has."""

    @classmethod
    def of(cls, files: Sequence[ListedFile], *, is_directory: bool) -> Tracked:
        """That of one file, or of a folder with these files, whose sizes are known."""
        size = sum(file.size or 0 for file in files)
        if not is_directory:
            return cls(files[0].md5, size)
        return cls(listing_md5(files), size, len(files))


@dataclass(frozen=True, slots=True)
class Imported:
    """Where something was imported from, as its ``*.dvc`` file says."""

    url: str
    path: str
    rev_lock: str
    """The commit."""
    rev: str | None = None
    """What was asked for, such as a branch; None for what the repository has at its head."""
    model: str | None = None
    """The model that was asked for, by the name that its own repository gives it."""
    reference: str | None = None
    """The reference that was asked for."""


def added_text(name: str, tracked: Tracked) -> bytes:
    """The file beside ``name``, as ``dvc add`` writes it."""
    return _dumped({"outs": [_out(name, tracked)]})


def imported_text(name: str, tracked: Tracked, origin: Imported) -> bytes:
    """The file beside ``name``, as ``dvc import`` writes it, with what else was asked for in ``meta:``."""
    repo = {"url": origin.url, "rev": origin.rev, "rev_lock": origin.rev_lock}
    dep = {"path": origin.path, "repo": {key: value for key, value in repo.items() if value}}
    out = _out(name, tracked)
    document: dict[str, object] = {
        "md5": _stage_md5({"deps": [dep], "outs": [out]}),
        "frozen": True,
        "deps": [dep],
        "outs": [out],
    }
    asked = {"model": origin.model, "reference": origin.reference}
    if any(asked.values()):
        document["meta"] = {META: {key: value for key, value in asked.items() if value}}
    return _dumped(document)


def updated_text(text: bytes, path: str, tracked: Tracked | None, origin: Imported) -> bytes:
    """An imported file's text with what has come since; what else stands there stays.

    Args:
        text: The text.
        path: Where the file is, for messages.
        tracked: The bytes that it tracks from now on; None where they are the same.
        origin: Where they come from.

    Raises:
        InvalidFileError: It is none of one import from a repository.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if read_imported(text, path) is None:
        raise InvalidFileError(f"{path!r} is no import from another repository", path=path)
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16
    try:
        document = editor.load(decoded_text(text, path))
        (out,) = document["outs"]
        (dep,) = document["deps"]
        asked = {"model": origin.model, "reference": origin.reference}
        dep["path"] = origin.path
        _set(dep["repo"], {"rev": origin.rev, "rev_lock": origin.rev_lock})
        if dep["repo"]["url"] != origin.url:
            dep["repo"]["url"] = origin.url
        if tracked is not None:
            _set(out, {**_out(out["path"], tracked), "nfiles": tracked.nfiles})
        meta = document.get("meta") or {}
        if any(asked.values()) or META in meta:
            meta[META] = {key: value for key, value in asked.items() if value}
            document["meta"] = meta
        if "md5" in document:
            document["md5"] = _stage_md5({key: document[key] for key in document if key not in _NO_STAGE})
        target = io.StringIO()
        editor.dump(document, target)
    except (YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidFileError(f"{path!r} can't be edited safely: {error}", path=path) from error
    return target.getvalue().encode()


def _set(entry: dict[str, object], facts: Mapping[str, object]) -> None:
    for key, value in facts.items():
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value


def read_imported(text: bytes, path: str) -> Imported | None:
    """Where that came from which the ``*.dvc`` file at ``path`` tracks; None if not from another repository.

    Raises:
        InvalidFileError: The file can't be read.
    """
    file: DvcFile = read_dvc_file(text, path)
    if len(file.deps) != 1 or file.deps[0].url is None:
        return None
    dep = file.deps[0]
    meta = typed(as_mapping(parse(text, path), path, "the file").get("meta"))
    own = meta.get(META) if isinstance(meta, dict) else None
    facts = own if isinstance(own, dict) else {}
    if dep.rev_lock is None:
        raise InvalidFileError(f"{path!r} does not say which commit was imported (rev_lock)", path=path)
    model, reference = (
        value if isinstance(value := facts.get(key), str) else None for key in ("model", "reference")
    )
    return Imported(dep.url or "", dep.path, dep.rev_lock, dep.rev, model, reference)


def listing_text(files: Sequence[ListedFile]) -> bytes:
    """The listing of a folder, as DVC keeps it; ``listing_md5`` is its name."""
    listed = [{"md5": file.md5, "relpath": file.path} for file in files]
    return json.dumps(sorted(listed, key=lambda item: item["relpath"])).encode()


def suggested_path(model: str, name: str) -> str:
    """Where an artifact goes that nobody named a place for: ``models/`` beside its ``dvc.yaml``, with its own ending.

    Args:
        model: ``churn``, or ``folder:churn``.
        name: What it is called where it comes from.
    """
    folder, _, short = model.rpartition(":")
    return posixpath.join(folder, "models", short + suffix_of(name))


def suffix_of(name: str) -> str:
    """The ending that tells what is in a file."""
    found = _SUFFIX.search(name, 1)
    return found[0] if found is not None else ""


def suggested_name(name: str) -> str:
    """A model's name made of what a file is called: ``Churn Model.pkl`` is ``churn-model``; ``""`` where none can be."""
    stem = name.removesuffix(suffix_of(name)).lower()
    return _NO_NAME.sub("-", stem).strip("-")


def _out(name: str, tracked: Tracked) -> dict[str, object]:
    facts = {"md5": tracked.md5, "size": tracked.size, "nfiles": tracked.nfiles, "hash": "md5", "path": name}
    return {key: value for key, value in facts.items() if value is not None}


def _stage_md5(document: Mapping[str, object]) -> str:
    """What DVC tells by whether such a file was edited by hand: an md5 over what it says, less what does not matter."""

    def less(value: object) -> object:
        if isinstance(value, list):
            return [less(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: less(item) for key, item in value.items() if key not in _NO_MATTER}

    text = json.dumps(less(document), sort_keys=True).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _dumped(document: Mapping[str, object]) -> bytes:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = False
    target = io.StringIO()
    writer.dump(document, target)
    return target.getvalue().encode()
