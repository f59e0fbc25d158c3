"""Text of ``dvc.yaml``, ``dvc.lock``, ``*.dvc``, ``.dvc/config`` and directory listings as frozen values."""

from __future__ import annotations

import io
import json
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelregistry.errors import InvalidFileError
from modelregistry.yamltext import Plain, decoded_text, is_null, parse, typed

_MAX_LISTING_BYTES = 128 << 20
_MAX_LISTED = 500_000

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_SAFE_SCALAR = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*")
_DRIVE = re.compile(r"[A-Za-z]:")


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


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file in the listing of a directory."""

    path: str
    md5: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Out:
    """One output, as a ``dvc.lock`` or ``*.dvc`` file records it."""

    path: str
    """As written: relative to the file's folder and its ``wdir``."""
    md5: str | None = None
    """With ``.dir`` at the end for a directory; None where DVC recorded no md5."""
    size: int | None = None
    nfiles: int | None = None
    legacy: bool = False
    """Written by DVC 2: text was hashed with its line ends changed, so ``md5`` is not that of the bytes."""
    files: tuple[ListedFile, ...] = ()
    """The listing of a directory in a cloud-versioned remote."""
    is_executable: bool = False
    is_cached: bool = True
    """False where the bytes are left to Git; only a ``*.dvc`` or ``dvc.yaml`` file says so."""
    remote: str | None = None
    """The only remote it is pushed to, if not the default one."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return bool(self.files) or (self.md5 or "").endswith(".dir")


@dataclass(frozen=True, slots=True)
class Dep:
    """One dependency."""

    path: str
    md5: str | None = None
    url: str | None = None
    """The Git repository it was imported from."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline as it last ran (DVC calls it a stage)."""

    name: str
    cmd: tuple[str, ...] = ()
    deps: tuple[Dep, ...] = ()
    outs: tuple[Out, ...] = ()
    params: Mapping[str, object] = field(default_factory=dict, hash=False)
    """By file; scalars are strings as written."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What only ``dvc.yaml`` says of a step."""

    wdir: str = "."
    remotes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By the path of the output, as written."""
    uncached: frozenset[str] = frozenset()
    """Outputs whose bytes are left to Git."""


@dataclass(frozen=True, slots=True)
class DvcFile:
    """One ``*.dvc`` file."""

    wdir: str = "."
    outs: tuple[Out, ...] = ()
    deps: tuple[Dep, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """An output and where it is in the repository."""

    file: str
    """The ``dvc.lock`` or ``*.dvc`` file that records it, from the Git root."""
    out: Out
    path: str | None
    """From the Git root; None if it is outside or can't be told."""
    step: str | None = None
    imported_from: str | None = None
    problem: str | None = None
    """Why ``path`` can't be told."""


# -- dvc.yaml ----------------------------------------------------------------------------------------------


def read_artifacts(text: bytes, path: str) -> dict[str, Declaration]:
    """The artifacts that the ``dvc.yaml`` at ``path`` declares; a bad entry does not hurt the others.

    Raises:
        InvalidFileError: The file is no YAML, or ``artifacts`` is no mapping.
    """
    document = _mapping(parse(text, path), path, "the file")
    entries = _mapping(document.get("artifacts"), path, "'artifacts'")
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


def read_plans(text: bytes, path: str) -> dict[str, StepPlan]:
    """What the ``dvc.yaml`` at ``path`` says of its steps, by name (of the group, for ``foreach`` and ``matrix``).

    Raises:
        InvalidFileError: The file is no YAML, or ``stages`` is no mapping.
    """
    document = _mapping(parse(text, path), path, "the file")
    plans = {}
    for name, entry in _mapping(document.get("stages"), path, "'stages'").items():
        plan = entry.get("do", entry) if isinstance(entry, dict) else {}
        wdir = plan.get("wdir") if isinstance(plan, dict) else None
        remotes: dict[str, str] = {}
        uncached: set[str] = set()
        for kind in ("outs", "metrics", "plots"):
            items = plan.get(kind) if isinstance(plan, dict) else None
            for item in items if isinstance(items, list) else ():
                for out, flags in item.items() if isinstance(item, dict) else ():
                    if isinstance(flags, dict) and isinstance(flags.get("remote"), str):
                        remotes[out] = str(flags["remote"])
                    if isinstance(flags, dict) and typed(flags.get("cache")) is False:
                        uncached.add(out)
        place = str(wdir) if isinstance(wdir, str) and wdir else "."
        plans[name] = StepPlan(place, remotes, frozenset(uncached))
    return plans


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


# -- dvc.lock and *.dvc ------------------------------------------------------------------------------------


def read_lock(text: bytes, path: str) -> tuple[Step, ...]:
    """The steps that the ``dvc.lock`` at ``path`` records.

    Raises:
        InvalidFileError: The file is no lock file of DVC 2 or 3.
    """
    document = _mapping(parse(text, path), path, "the file")
    schema = document.get("schema")
    if document and not (isinstance(schema, str) and schema.startswith("2.")):
        raise InvalidFileError(
            f"{path!r} has schema {schema!r}, and '2.0' is what this library reads: run 'dvc repro' with DVC 3",
            path=path,
        )
    steps = []
    for name, value in _mapping(document.get("stages"), path, "'stages'").items():
        entry = _mapping(value, path, f"step {name!r}")
        cmd = entry.get("cmd")
        steps.append(
            Step(
                name,
                tuple(
                    str(line) for line in (cmd if isinstance(cmd, list) else [cmd]) if isinstance(line, str)
                ),
                tuple(_dep(item, path) for item in _list(entry.get("deps"), path, "'deps'")),
                tuple(_out(item, path) for item in _list(entry.get("outs"), path, "'outs'")),
                _mapping(entry.get("params"), path, "'params'"),
            )
        )
    return tuple(steps)


def read_dvc_file(text: bytes, path: str) -> DvcFile:
    """What the ``*.dvc`` file at ``path`` records.

    Raises:
        InvalidFileError: The file is none.
    """
    document = _mapping(parse(text, path), path, "the file")
    wdir = document.get("wdir")
    return DvcFile(
        str(wdir) if isinstance(wdir, str) and wdir else ".",
        tuple(_out(item, path) for item in _list(document.get("outs"), path, "'outs'")),
        tuple(_dep(item, path) for item in _list(document.get("deps"), path, "'deps'")),
    )


def _out(value: object, path: str) -> Out:
    entry = _mapping(value, path, "an output")
    files = tuple(
        ListedFile(_text(item, "relpath", path), _hash(item, path) or "", _integer(item.get("size")))
        for item in (_mapping(each, path, "a file") for each in _list(entry.get("files"), path, "'files'"))
    )
    if files:
        _check_listing(files, path)
    md5 = _hash(entry, path)
    return Out(
        _text(entry, "path", path),
        md5,
        _integer(entry.get("size")),
        _integer(entry.get("nfiles")),
        legacy=md5 is not None and "hash" not in entry,
        files=files,
        is_executable=typed(entry.get("isexec")) is True,
        is_cached=typed(entry.get("cache")) is not False,
        remote=str(entry["remote"]) if isinstance(entry.get("remote"), str) else None,
    )


def _dep(value: object, path: str) -> Dep:
    entry = _mapping(value, path, "a dependency")
    repo = entry.get("repo")
    url = repo.get("url") if isinstance(repo, dict) else None
    md5 = entry.get("md5")
    # A database is a dependency without a path; the checksum of another tool is no md5.
    return Dep(
        str(entry["path"]) if isinstance(entry.get("path"), str) else "",
        md5.lower() if isinstance(md5, str) and _MD5.fullmatch(md5.lower()) else None,
        str(url) if isinstance(url, str) else None,
    )


def _hash(entry: Mapping[str, object], path: str) -> str | None:
    value = entry.get("md5")
    if value is None or is_null(value):
        return None
    if not isinstance(value, str) or not _MD5.fullmatch(value.lower()):
        raise InvalidFileError(f"{path!r} has an md5 that is none: {value!r}", path=path)
    return value.lower()


# -- which output is a path --------------------------------------------------------------------------------


def resolve(file: str, *parts: str) -> str | None:
    """A path written in ``file`` (both posix), from the Git root; None if it is absolute, a URL or leads outside."""
    if any("://" in part or part.startswith(("/", "~")) or _DRIVE.match(part) for part in parts):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), *parts))
    return None if path == ".." or path.startswith(("../", "/")) or "\0" in path else path


def lock_outputs(path: str, lock: bytes, plan: bytes | None) -> tuple[Output, ...]:
    """The outputs in the ``dvc.lock`` at ``path``, whose ``dvc.yaml`` is ``plan``.

    Steps that ``dvc.yaml`` does not have (any more) are left out, as DVC does.

    Raises:
        InvalidFileError: One of the two can't be read.
    """
    if plan is None:
        return ()
    plans = read_plans(plan, posixpath.join(posixpath.dirname(path), "dvc.yaml"))
    outputs = []
    for step in read_lock(lock, path):
        found = plans.get(step.name) or plans.get(step.name.partition("@")[0])
        if found is None:
            continue
        problem = None
        if "${" in found.wdir:
            problem = f"step {step.name!r} of {path!r} has a templated wdir {found.wdir!r}, which only DVC can fill in"
        for out in step.outs:
            where = None if problem else resolve(path, found.wdir, out.path)
            placed = replace(
                out, remote=found.remotes.get(out.path), is_cached=out.path not in found.uncached
            )
            outputs.append(Output(path, placed, where, step.name, problem=problem))
    return tuple(outputs)


def dvc_file_outputs(path: str, text: bytes) -> tuple[Output, ...]:
    """The outputs in the ``*.dvc`` file at ``path``.

    Raises:
        InvalidFileError: It can't be read.
    """
    file = read_dvc_file(text, path)
    url = next((dep.url for dep in file.deps if dep.url), None)
    return tuple(
        Output(path, out, resolve(path, file.wdir, out.path), imported_from=url) for out in file.outs
    )


def out_lookup(path: str, outputs: Iterable[Output]) -> Output | None:
    """The output that is ``path`` (from the Git root), or the innermost directory output that may contain it."""
    best: Output | None = None
    for output in outputs:
        if output.path == path:
            return output
        inside = output.path is not None and output.out.is_directory and path.startswith(f"{output.path}/")
        if inside and (best is None or len(output.path or "") > len(best.path or "")):
            best = output
    return best


# -- the listing of a directory ----------------------------------------------------------------------------


def read_manifest(data: bytes, path: str) -> tuple[ListedFile, ...]:
    """The files that a ``.dir`` object lists, by path.

    Raises:
        InvalidFileError: It is no listing, or one that would write outside its folder or twice to one place.
    """
    if len(data) > _MAX_LISTING_BYTES:
        raise InvalidFileError(
            f"the listing of {path!r} is larger than {_MAX_LISTING_BYTES} bytes", path=path
        )
    try:
        items = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"the listing of {path!r} is no JSON: {error}", path=path) from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidFileError(f"the listing of {path!r} is no list of files", path=path)
    files = []
    for item in items:
        name, md5 = item.get("relpath"), item.get("md5")
        if not isinstance(name, str) or not isinstance(md5, str):
            raise InvalidFileError(
                f"the listing of {path!r} has a file without 'relpath' or 'md5'", path=path
            )
        files.append(ListedFile(name, md5))
    _check_listing(files, path)
    return tuple(sorted(files, key=lambda file: file.path))


def _check_listing(files: Sequence[ListedFile], path: str) -> None:
    """Refuse what could write outside the folder, or two files to one place on some file system."""
    if len(files) > _MAX_LISTED:
        raise InvalidFileError(f"the listing of {path!r} has more than {_MAX_LISTED} files", path=path)
    seen: set[str] = set()
    folders: set[str] = set()
    for file in files:
        parts = file.path.split("/")
        bad = any(part in ("", ".", "..") for part in parts) or _DRIVE.match(file.path) or "\\" in file.path
        if bad or any(unicodedata.category(character) in ("Cc", "Cs") for character in file.path):
            raise InvalidFileError(f"the listing of {path!r} has the unsafe path {file.path!r}", path=path)
        if len(file.md5) != 32 or not _MD5.fullmatch(file.md5):
            raise InvalidFileError(
                f"the listing of {path!r} has the md5 {file.md5!r}, which is none", path=path
            )
        folded = unicodedata.normalize("NFC", file.path).casefold()
        if folded in seen:
            raise InvalidFileError(
                f"the listing of {path!r} has {file.path!r} twice, or in two cases: rename one", path=path
            )
        seen.add(folded)
        folders.update(folded[:index] for index, character in enumerate(folded) if character == "/")
    if both := seen & folders:
        raise InvalidFileError(f"the listing of {path!r} has {min(both)!r} as a file and a folder", path=path)


# -- .dvc/config -------------------------------------------------------------------------------------------


def read_config(text: bytes, path: str) -> dict[str, dict[str, str]]:
    """The sections of a DVC configuration file; a remote's is ``remote.<name>``. Names are in lower case, as in DVC.

    Raises:
        InvalidFileError: It is no such file.
    """
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for number, raw in enumerate(decoded_text(text, path).splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name = line.lstrip("[").partition("]")[0].strip().strip("'").strip().lower()
            remote = re.fullmatch(r'remote\s*"(.*)"', name)
            section = sections.setdefault(f"remote.{remote[1]}" if remote else name, {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise InvalidFileError(f"{path!r}, line {number}: no section and no 'option = value'", path=path)
        value = value.strip()
        quoted = re.match(r"""(["'])(.*?)\1""", value)
        section[key.strip().strip("'\"").lower()] = quoted[2] if quoted else value.partition("#")[0].strip()
    return sections


# -- pieces ------------------------------------------------------------------------------------------------


def _mapping(value: object, path: str, what: str) -> dict[str, Any]:
    if value is None or is_null(value):
        return {}
    if not isinstance(value, dict):
        raise InvalidFileError(f"{path!r}: {what} is no mapping", path=path)
    return value


def _list(value: object, path: str, what: str) -> list[object]:
    if value is None or is_null(value):
        return []
    if not isinstance(value, list):
        raise InvalidFileError(f"{path!r}: {what} is no list", path=path)
    return value


def _text(entry: Mapping[str, object], key: str, path: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidFileError(f"{path!r} has an entry without {key!r}", path=path)
    return str(value)


def _integer(value: object) -> int | None:
    return (
        int(value)
        if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit()
        else None
    )
