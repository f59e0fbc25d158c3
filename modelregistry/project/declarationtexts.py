"""The text of ``artifacts:`` in a ``dvc.yaml``: which artifacts it declares, and how one more is written into it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelregistry.errors import InvalidFileError
from modelregistry.project.blockyaml import Plain
from modelregistry.project.yamltext import as_mapping, is_null, parse, typed

_SAFE_SCALAR = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What ``artifacts:`` in a ``dvc.yaml`` says of one artifact."""

    name: str
    path: str
    """As written: relative to the folder of the ``dvc.yaml``; see ``resolve``."""
    type: str | None = None
    description: str | None = None
    labels: tuple[str, ...] = ()
    meta: Mapping[str, object] = field(default_factory=dict, hash=False)
    """A ``meta`` that is no mapping (DVC allows it) stands here under the key ``meta``."""
    templated: bool = False
    """Whether the name or the path holds ``${…}``, which only DVC can fill in."""
    problem: str | None = None
    """Why the entry can't be used; None if it can."""


def read_artifacts(text: bytes, path: str) -> dict[str, Declaration]:
    """The artifacts that the ``dvc.yaml`` at ``path`` declares; a bad entry does not hurt the others.

    Raises:
        InvalidFileError: The file is no YAML, or ``artifacts`` is no mapping.
    """
    document = as_mapping(parse(text, path), path, "the file")
    entries = as_mapping(document.get("artifacts"), path, "'artifacts'")
    return {name: _declaration(name, entry) for name, entry in entries.items()}


def _declaration(name: str, entry: object) -> Declaration:
    if not isinstance(entry, dict):
        return Declaration(name, "", problem=f"artifact {name!r} has no 'path:'")
    texts: dict[str, str | None] = {}
    problem = None
    for key in ("path", "type", "desc"):
        value = entry.get(key)
        texts[key] = None if value is None or is_null(value) or not isinstance(value, str) else str(value)
        if isinstance(value, list | dict):
            problem = f"{key!r} of artifact {name!r} is no text"
    labels = entry.get("labels")
    if labels is None or is_null(labels):
        labels = []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        problem = f"'labels' of artifact {name!r} is no list of texts"
        labels = []
    meta = typed(entry.get("meta"))
    if meta is None:
        meta = {}
    elif not isinstance(meta, dict):
        meta = {"meta": meta}
    path = texts["path"] or ""
    if not path:
        problem = problem or f"artifact {name!r} has no 'path:'"
    return Declaration(
        name, path, texts["type"], texts["desc"], tuple(map(str, labels)), meta,
        templated="${" in path or "${" in name, problem=problem,
    )  # fmt: skip


def artifact_entry(name: str, path: str, type: str | None = "model") -> str:  # noqa: A002 - DVC's word
    """The lines to paste into ``dvc.yaml`` to declare an artifact."""
    kind = f"    type: {_scalar(type)}\n" if type else ""
    return f"artifacts:\n  {_scalar(name)}:\n    path: {_scalar(path)}\n{kind}"


def declare_artifact(
    text: bytes | None,
    name: str,
    *,
    path: str,
    type: str | None = None,  # noqa: A002 - DVC's word
    description: str | None = None,
    labels: Sequence[str] = (),
    meta: Mapping[str, object] | None = None,
    file: str = "dvc.yaml",
) -> bytes:
    """The text of a ``dvc.yaml`` with the artifact declared; comments and all else stay.

    What an entry of that name says already stays too, but for what is given here.

    Raises:
        InvalidFileError: The file can't be edited without breaking it.
    """
    before = read_artifacts(text or b"", file)
    news = {"path": path, "type": type, "desc": description, "labels": list(labels) or None, "meta": meta}
    given = {key: value for key, value in news.items() if value}
    if text is not None and name in before and _says(before[name], given):
        return text
    source = (text or b"").decode("utf-8-sig")
    others = {key: value for key, value in before.items() if key != name}
    # What is only appended to leaves every line as it is. A flow-style file, say, has to be written anew.
    for edit in (_append, _rewrite):
        try:
            result = edit(source.replace("\r\n", "\n"), name, given)
            after = read_artifacts(result.encode(), file)
        except (InvalidFileError, AttributeError, TypeError, ValueError, LookupError, RecursionError):
            continue
        mine = after.pop(name, None)
        if mine is not None and after == others and _says(mine, given):
            return (result.replace("\n", "\r\n") if "\r\n" in source else result).encode()
    entry = artifact_entry(name, path, type)
    raise InvalidFileError(f"{file!r} can't be edited safely: add this to it yourself\n\n{entry}", path=file)


def _says(declaration: Declaration, entry: Mapping[str, object]) -> bool:
    found = {
        "path": declaration.path,
        "type": declaration.type,
        "desc": declaration.description,
        "labels": list(declaration.labels),
        "meta": declaration.meta,
    }
    return declaration.problem is None and all(found[key] == value for key, value in entry.items())


def _append(source: str, name: str, entry: Mapping[str, object]) -> str:
    if source and not source.endswith("\n"):
        source += "\n"
    return source + _edited("", lambda _: {"artifacts": {name: entry}}, style=source)


def _rewrite(source: str, name: str, entry: Mapping[str, object]) -> str:
    def change(document: Any) -> Any:
        artifacts = document["artifacts"]
        if not artifacts:
            document["artifacts"] = {name: entry}
        elif artifacts.get(name):
            artifacts[name].update(entry)
        else:
            artifacts[name] = entry
        return document

    return _edited(source, change, style=source)


def _edited(source: str, change: Callable[[Any], Any], *, style: str) -> str:
    """What ``change`` makes of the document in ``source``, indented as ``style`` is."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16
    mapping = re.search(r"^[^\s#-][^\n]*:[ ]*\n( +)[^\s#-]", style, re.MULTILINE)
    sequence = re.search(r"^( *)[^\s#-][^\n]*:[ ]*\n( *)- ", style, re.MULTILINE)
    offset = max(len(sequence[2]) - len(sequence[1]), 0) if sequence else 0
    editor.indent(mapping=len(mapping[1]) if mapping else 2, sequence=offset + 2, offset=offset)
    target = io.StringIO()
    try:
        editor.dump(change(editor.load(source)), target)
    except YAMLError as error:
        raise ValueError(str(error)) from error
    return target.getvalue()


def _scalar(text: str) -> str:
    plain = _SAFE_SCALAR.fullmatch(text) and not isinstance(typed(Plain(text)), bool | None)
    return text if plain else json.dumps(text, ensure_ascii=False)
