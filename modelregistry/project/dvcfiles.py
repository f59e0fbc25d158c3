"""Text of ``dvc.yaml``, ``dvc.lock``, ``*.dvc``, ``.dvc/config`` and directory listings as frozen values."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from modelregistry.errors import InvalidFileError
from modelregistry.project.yamltext import as_list, as_mapping, decoded_text, is_null, parse, typed

_MAX_LISTING_BYTES = 128 << 20
_MAX_LISTED = 500_000
CARRIED = "dvc"
"""The folder of a bare repository in which the objects lie that a bundle brought: laid out as a remote of DVC's."""

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_ADDRESS = re.compile(r"(md5|md5-dos2unix):([0-9a-f]{32}(?:\.dir)?)")
_USUAL = frozenset({"path", "hash", "md5", "size", "nfiles"})
"""What an entry says, where it is not of something special."""
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file in the listing of a directory."""

    path: str
    md5: str
    size: int | None = None


@dataclass(slots=True, unsafe_hash=True)  # never changed; a frozen one takes three times as long to make
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
    version_id: str | None = None
    """Which version a cloud keeps it as."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return bool(self.files) or (self.md5 or "").endswith(".dir")


@dataclass(slots=True, unsafe_hash=True)  # as above
class Dep:
    """One dependency, as a ``dvc.lock`` or ``*.dvc`` file records it."""

    path: str
    """As written; a URL for what is outside the project, ``""`` for a database."""
    md5: str | None = None
    """With ``.dir`` at the end for a directory."""
    url: str | None = None
    """The Git repository it was imported from."""
    rev: str | None = None
    """What of that repository was asked for, such as a branch."""
    rev_lock: str | None = None
    """The commit that was."""
    size: int | None = None
    nfiles: int | None = None
    legacy: bool = False
    """As for ``Out``."""
    etag: str | None = None
    checksum: str | None = None
    """What the storage it is in calls its content."""
    version_id: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Of a database, how it was asked; of one of DVC's datasets, what is recorded of it."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return (self.md5 or "").endswith(".dir")


@dataclass(slots=True, unsafe_hash=True)  # as above
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
    frozen: bool = False
    """Whether ``dvc repro`` leaves it alone; so it is with what was imported, until ``dvc update``."""


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


def read_plans(text: bytes, path: str) -> dict[str, StepPlan]:
    """What the ``dvc.yaml`` at ``path`` says of its steps, by name (of the group, for ``foreach`` and ``matrix``).

    Raises:
        InvalidFileError: The file is no YAML, or ``stages`` is no mapping.
    """
    document = as_mapping(parse(text, path), path, "the file")
    plans = {}
    for name, entry in as_mapping(document.get("stages"), path, "'stages'").items():
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


# -- dvc.lock and *.dvc ------------------------------------------------------------------------------------


def read_lock(text: bytes, path: str) -> tuple[Step, ...]:
    """The steps that the ``dvc.lock`` at ``path`` records.

    Raises:
        InvalidFileError: The file is no lock file of DVC 2 or 3.
    """
    return lock_steps(parse(text, path), path)


def lock_steps(document: object, path: str) -> tuple[Step, ...]:
    """The same of a document that was parsed before; raises as ``read_lock`` does."""
    document = as_mapping(document, path, "the file")
    schema = document.get("schema")
    if document and not (isinstance(schema, str) and schema.startswith("2.")):
        raise InvalidFileError(
            f"{path!r} has schema {schema!r}, and '2.0' is what this library reads: run 'dvc repro' with DVC 3",
            path=path,
        )
    steps = []
    for name, value in as_mapping(document.get("stages"), path, "'stages'").items():
        entry = as_mapping(value, path, f"step {name!r}")
        cmd = entry.get("cmd")
        steps.append(
            Step(
                name,
                tuple(
                    [str(line) for line in (cmd if isinstance(cmd, list) else [cmd]) if isinstance(line, str)]
                ),
                tuple([_dep(item, path) for item in as_list(entry.get("deps"), path, "'deps'")]),
                tuple([_out(item, path) for item in as_list(entry.get("outs"), path, "'outs'")]),
                as_mapping(entry.get("params"), path, "'params'"),
            )
        )
    return tuple(steps)


def read_dvc_file(text: bytes, path: str) -> DvcFile:
    """What the ``*.dvc`` file at ``path`` records.

    Raises:
        InvalidFileError: The file is none.
    """
    return dvc_file(parse(text, path), path)


def dvc_file(document: object, path: str) -> DvcFile:
    """The same of a document that was parsed before; raises as ``read_dvc_file`` does."""
    document = as_mapping(document, path, "the file")
    wdir = document.get("wdir")
    return DvcFile(
        str(wdir) if isinstance(wdir, str) and wdir else ".",
        tuple(_out(item, path) for item in as_list(document.get("outs"), path, "'outs'")),
        tuple(_dep(item, path) for item in as_list(document.get("deps"), path, "'deps'")),
        typed(document.get("frozen")) is True or typed(document.get("locked")) is True,
    )


def _out(value: object, path: str) -> Out:
    entry = as_mapping(value, path, "an output")
    if _USUAL.issuperset(entry):
        md5 = _hash(entry, path)
        size, nfiles = _integer(entry.get("size")), _integer(entry.get("nfiles"))
        legacy = md5 is not None and "hash" not in entry
        return Out(_text(entry, "path", path), md5, size, nfiles, legacy)
    files = _files(entry, path)
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
        remote=_string(entry.get("remote")),
        version_id=_clouded(entry, "version_id"),
    )


def _files(entry: Mapping[str, object], path: str) -> tuple[ListedFile, ...]:
    """The listing of a directory in a cloud-versioned remote."""
    listed = entry.get("files")
    if listed is None:
        return ()
    files = tuple(
        ListedFile(_text(item, "relpath", path), _hash(item, path) or "", _integer(item.get("size")))
        for item in (as_mapping(each, path, "a file") for each in as_list(listed, path, "'files'"))
    )
    if files:
        _check_listing(files, path)
    return files


def _dep(value: object, path: str) -> Dep:
    entry = as_mapping(value, path, "a dependency")
    if type(name := entry.get("path")) is str and _USUAL.issuperset(entry):
        return _usual_dep(entry, name)
    repo = entry.get("repo")
    repo = repo if isinstance(repo, dict) else {}
    # A database is a dependency without a path; the checksum of another tool is no md5.
    md5 = _md5(entry.get("md5"))
    size, nfiles = _integer(entry.get("size")), _integer(entry.get("nfiles"))
    if md5 is None and isinstance(entry.get("files"), list):
        try:
            files = _files(entry, path)
        except InvalidFileError:  # a URL's own listing, which records no md5
            files = ()
        if files:
            md5, nfiles = listing_md5(files), len(files)
    facts = entry.get("db") or entry.get("dataset")
    return Dep(
        _string(entry.get("path")) or "",
        md5,
        _string(repo.get("url")),
        _string(repo.get("rev")),
        _string(repo.get("rev_lock")),
        size,
        nfiles,
        legacy=md5 is not None and "hash" not in entry,
        etag=_clouded(entry, "etag"),
        checksum=_clouded(entry, "checksum"),
        version_id=_clouded(entry, "version_id"),
        facts=typed(facts) if isinstance(facts, dict) else {},
    )


def _usual_dep(entry: Mapping[str, object], name: str) -> Dep:
    """A file or folder of the project, which most are."""
    md5 = _md5(entry.get("md5"))
    size = _integer(entry["size"]) if "size" in entry else None
    nfiles = _integer(entry["nfiles"]) if "nfiles" in entry else None
    return Dep(name, md5, size=size, nfiles=nfiles, legacy=md5 is not None and "hash" not in entry)


def _clouded(entry: Mapping[str, object], key: str) -> str | None:
    """What the cloud calls it: DVC keeps that in the entry, or in one for the remote."""
    cloud = entry.get("cloud")
    for place in (entry, *(cloud.values() if isinstance(cloud, dict) else ())):
        value = place.get(key) if isinstance(place, dict) else None
        if value is not None and not is_null(value) and not isinstance(value, dict | list):
            return str(value)
    return None


def _hash(entry: Mapping[str, object], path: str) -> str | None:
    value = entry.get("md5")
    md5 = _md5(value)
    if md5 is None and not (value is None or is_null(value)):
        raise InvalidFileError(f"{path!r} has an md5 that is none: {value!r}", path=path)
    return md5


def _md5(value: object) -> str | None:
    """The md5 that is written there, in small letters; None where it is none."""
    if not isinstance(value, str):
        return None
    if _MD5.fullmatch(value):  # most are written so
        return str(value)
    return value.lower() if _MD5.fullmatch(value.lower()) else None


# -- which output is a path --------------------------------------------------------------------------------


@lru_cache(
    maxsize=1 << 14
)  # a step's paths are asked for again and again, and most are those of the commit before
def resolve(file: str, *parts: str) -> str | None:
    """A path written in ``file`` (both posix), from the Git root; None if it is absolute, a URL or leads outside."""
    if any("://" in part or part.startswith(("/", "~")) or _DRIVE.match(part) for part in parts):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), *parts))
    return None if path == ".." or path.startswith(("../", "/")) or "\0" in path else path


def is_of_dvc(path: str) -> bool:
    """Whether DVC has something of its own at such a path, or Git: it takes nothing there for an output, or a dependency."""
    *folders, name = path.split("/")
    return (
        name in ("dvc.yaml", "dvc.lock", ".dvcignore", ".git")
        or name.endswith(".dvc")
        or not {".dvc", ".git"}.isdisjoint(folders)
    )


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
    if not items:
        raise InvalidFileError(
            f"the listing of {path!r} is empty: a folder without a file is no artifact", path=path
        )
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


def listing_md5(files: Sequence[ListedFile]) -> str:
    """What DVC names the listing of a directory with these files."""
    listed = sorted(
        ({"md5": file.md5, "relpath": file.path} for file in files), key=lambda item: item["relpath"]
    )
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"


def object_path(address: str) -> str | None:
    """Where DVC keeps an object (``md5:…``), in a cache as in a remote; None for what is no address of DVC's."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return None
    kind, oid = match.groups()
    # DVC 2 had no folder for the algorithm.
    return f"{oid[:2]}/{oid[2:]}" if kind == "md5-dos2unix" else f"files/md5/{oid[:2]}/{oid[2:]}"


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


def _text(entry: Mapping[str, object], key: str, path: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidFileError(f"{path!r} has an entry without {key!r}", path=path)
    return str(value)


def _string(value: object) -> str | None:
    return str(value) if isinstance(value, str) and not is_null(value) else None


def _integer(value: object) -> int | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) or value < 0 else value
    return (
        int(value)
        if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit()
        else None
    )
