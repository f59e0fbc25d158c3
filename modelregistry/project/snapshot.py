"""The files of one commit: which there are, what they hold, and what DVC would hash them to; read in few calls of git."""

from __future__ import annotations

import hashlib
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from modelregistry.errors import GitError, InvalidFileError, RevisionNotFoundError
from modelregistry.git.folders import MOST_FOUND, Folders, bound
from modelregistry.git.objects import GitObject
from modelregistry.git.repo import GitRepo
from modelregistry.project.documents import ABSENT, MOST_BYTES, MOST_KEPT, Documents
from modelregistry.project.dvcfiles import ListedFile, listing_md5
from modelregistry.project.dvcignore import ignore_lines, is_ignored

MOST_BYTES_IN_ALL = 64 << 20
"""Of one commit; what comes after is left unread."""
MOST_COMPARED = 10_000
"""Files of a folder that are compared with what DVC recorded of it."""

_Meaning = TypeVar("_Meaning")
_MOST_ALIKE = 4
_IGNORE = "ignore"
_MOST_PARTS = 20_000
_LINK = "120000"
_NAMES = ("dvc.yaml", "dvc.lock", ".dvc", ".dvcignore", ".gitattributes")
_POINTER = b"version https://git-lfs.github.com/spec/"
# What makes a file in the working copy another one than that in Git.
_FILTERS = (b"filter=", b"ident", b"working-tree-encoding")


@dataclass(eq=False, slots=True)
class Part:
    """A part of a commit: what is in its top folder, or one of the folders in that."""

    name: str
    """``""`` for the top folder."""
    named: Mapping[str, Sequence[str]]
    """The paths of files that DVC or Git gives a meaning to, as ``Snapshot.named`` has them."""
    size: int = 0
    """How many those are."""
    learned: Any = None
    """What was made of all that was learned of it, if it can be of no other files."""


class Snapshot:
    """One commit.

    Args:
        repo: Its repository.
        rev: Its id.
        documents: What was parsed before.
        beside: The ids of objects that are read with it.

    Attributes:
        is_cut: Whether it has more files than were looked at.
        is_short: Whether some file could not be had, or was too much.
    """

    def __init__(self, repo: GitRepo, rev: str, documents: Documents, *, beside: Sequence[str] = ()) -> None:
        self.repo = repo
        self.is_cut = False
        self.is_short = False
        self._looked: dict[str, str | None] = {}
        self._beside = tuple(beside)
        self.rev = rev
        self._documents = documents
        self._left = MOST_BYTES_IN_ALL
        self._objects: dict[str, GitObject | None] = {}
        self._below: dict[str, Sequence[str]] = {}

    # -- what there is -------------------------------------------------------------------------------------

    @cached_property
    def _folders(self) -> Folders:
        first = [self.rev, *self._beside]
        *found, top = self.repo.read([*first, f"{self.rev}^{{tree}}"])
        self._objects |= zip(first, found, strict=True)
        commit = self._objects[self.rev]
        if commit is None or commit.kind != "commit":
            raise RevisionNotFoundError(f"no commit {self.rev!r} here: 'git fetch' may bring it")
        tree = (commit.data or b"").partition(b"\n")[0].decode().removeprefix("tree ")
        if top is not None and top.oid == tree and top.data is not None:
            self._documents.folders.add(top)
        return Folders(tree, self._documents.folders, self.repo.read, _NAMES)

    def oid(self, path: str) -> str | None:
        """Git's id of the file, folder or submodule at a path from the Git root; None where nothing is there."""
        item = self._folders.item(path)
        return item.oid if item is not None else None

    def is_file(self, path: str) -> bool:
        """Whether a file is there, or a link."""
        item = self._folders.item(path)
        return item is not None and item.is_file

    def is_link(self, path: str) -> bool:
        """Whether a link is there."""
        item = self._folders.item(path)
        return item is not None and item.mode == _LINK

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        item = self._folders.item(path)
        return item is not None and item.is_folder

    def submodule(self, path: str) -> tuple[str, str] | None:
        """The path of the submodule that is ``path``, or that has it, and its commit."""
        return self._folders.submodule(path)

    def below(self, folder: str) -> Sequence[str]:
        """The files in a folder, and in those in it."""
        if folder not in self._below:
            self._below[folder], whole = self._folders.files(folder)
            self.is_cut = self.is_cut or not whole
        return self._below[folder]

    @cached_property
    def named(self) -> Mapping[str, Sequence[str]]:
        """The paths of DVC's own files and of Git's attributes, by what they are called, or their suffix ``.dvc``."""
        found: dict[str, list[str]] = {name: [] for name in _NAMES}
        for part in self.parts:
            for name, paths in part.named.items():
                found[name] += paths
        return {name: sorted(paths) for name, paths in found.items()}

    @cached_property
    def parts(self) -> Sequence[Part]:
        """The top folder, without those in it, and each of those, as far as they have such files."""
        top, folders = self._folders.top()
        known = [part for folder in folders if (part := self._documents.parts.get(folder)) is not None]
        if len(known) < len(folders) or len(top) + sum([part.size for part in known]) > MOST_FOUND:
            top, known = self._look_through(folders)
        return [part for part in (Part("", _by_name(top)), *known) if part.named]

    def _look_through(self, folders: Sequence[tuple[str, str]]) -> tuple[list[str], list[Part]]:
        """The files that are looked at, of those at the top, and what is in the folders there."""
        top, inner, whole = self._folders.found()
        self.is_cut = self.is_cut or not whole
        known = self._documents.parts
        if len(known) > _MOST_PARTS:
            known.clear()
        below = {(name, oid): paths for name, oid, paths in inner}
        parts = []
        for folder in folders:
            name, part = folder[0], known.get(folder)
            if part is None:
                paths = below.get(folder, ())
                part = Part(name, _by_name(f"{name}/{path}" for path in paths), len(paths))
                if whole:
                    known[folder] = part
            parts.append(part)
        return top, parts

    # -- what it holds -------------------------------------------------------------------------------------

    def bring(self, paths: Iterable[str], others: Iterable[str] = ()) -> None:
        """Have the files that are to be parsed, and others, in one call of git.

        Raises:
            GitError: The first can't be had; the others may be missing.
        """
        first = [oid for path in paths if (oid := self._wanted(path)) and not self._is_parsed(path, oid)]
        more = [oid for path in others if (oid := self._wanted(path))]
        try:
            self._read(dict.fromkeys([*first, *more]))
        except GitError:
            if not more:
                raise
            self._read(dict.fromkeys(first))
            self._objects |= dict.fromkeys(more)

    def _wanted(self, path: str) -> str | None:
        item = self._folders.item(path)
        return item.oid if item is not None and item.is_file else None

    def _is_parsed(self, path: str, oid: str) -> bool:
        return self._documents.find(oid, path) is not ABSENT

    def _read(self, oids: Iterable[str]) -> None:
        missing = [oid for oid in oids if oid not in self._objects]
        if not missing:
            return
        found = self.repo.read(missing, limit=MOST_BYTES, most=self._left)
        self._left -= sum(each.size for each in found if each is not None and each.data is not None)
        self._objects.update(zip(missing, found, strict=True))

    def data(self, path: str) -> bytes | None:
        """The content of a file; None where there is none, or it is too large or can't be had."""
        oid = self._wanted(path)
        if oid is None:
            return None
        if oid not in self._objects:
            self.bring((), [path])
        found = self._objects[oid]
        return found.data if found is not None else None

    def beside(self, oid: str) -> bytes | None:
        """One of the objects that were to be read with it."""
        found = self._objects.get(oid)
        return found.data if found is not None else None

    def size(self, path: str) -> int | None:
        """The bytes of a file, if it was looked at."""
        oid = self._wanted(path)
        found = self._objects.get(oid) if oid else None
        return found.size if found is not None else None

    def document(self, path: str) -> object:
        """What a YAML, JSON or TOML file holds; None where there is none.

        Raises:
            InvalidFileError: It can't be read.
        """
        oid = self._looked[path] = self._wanted(path)
        if oid is None:
            return None
        found = self._documents.find(oid, path)
        if found is ABSENT:
            data = self.data(path)
            if data is None:
                self.is_short = True
                size = self.size(path)
                why = (
                    "it can't be had"
                    if size is None
                    else f"it has {size:,} bytes, and {MOST_BYTES:,} is the most"
                )
                if size is not None and size <= MOST_BYTES:
                    why = f"the commit has more than {MOST_BYTES_IN_ALL:,} bytes to read"
                raise InvalidFileError(f"{path!r} is not read: {why}", path=path)
            found = self._documents.parsed(oid, path, data)
        return found

    def meaning(self, path: str, read: Callable[[object, str], _Meaning]) -> _Meaning | None:
        """What ``read`` makes of the document at a path, which is remembered; raises as ``document`` and ``read`` do."""
        oid = self._looked[path] = self._wanted(path)
        key = (oid or "", path, read)
        found = self._documents.meanings.get(key)
        if found is None:
            document = self.document(path)
            if document is None:
                return None
            found = self._documents.meanings[key] = read(document, path)
            bound(self._documents.meanings, MOST_KEPT)
        return found

    def is_learned(self, key: Hashable, folders: Iterable[str]) -> bool:
        """Whether what was learned of each folder comes from files in it."""
        recent = self._documents.recent
        return all(recent.get((key, folder, self.oid(folder))) is not None for folder in folders)

    def recall(self, key: Hashable, folder: str, first: Sequence[str]) -> Any:
        """What was learned of a folder at a commit that has the same files; None where nothing was.

        Args:
            key: What kind of thing that is.
            folder: From the Git root.
            first: The files in it that are read first.
        """
        recent = self._documents.recent
        if (found := recent.get((key, folder, self.oid(folder)))) is not None:
            return found
        for looked, found in recent.get((key, folder, *self._oids(folder, first))) or ():
            if all(self._wanted(path) == oid for path, oid in looked.items()):
                return found
        return None

    def learn(
        self,
        key: Hashable,
        folder: str,
        first: Sequence[str],
        read: Callable[[], _Meaning],
        weigh: Callable[[_Meaning], int],
    ) -> _Meaning:
        """What ``read`` makes of documents, which is remembered with them, if all of them could be had.

        Args:
            key: As for ``recall``.
            folder: As for ``recall``.
            first: As for ``recall``.
            read: Reads it, from documents alone.
            weigh: How much it is to keep.
        """
        self._looked, self.is_short = {}, False
        found = read()
        if self.is_short:
            return found
        recent = self._documents.recent
        if not folder or all(path.startswith(f"{folder}/") for path in self._looked):
            recent.put((key, folder, self.oid(folder)), found, weigh(found))
        place = (key, folder, *self._oids(folder, first))
        others = [each for each in recent.get(place) or () if each[0] != self._looked][: _MOST_ALIKE - 1]
        recent.put(place, [(self._looked, found), *others], weigh(found) * (1 + len(others)))
        return found

    def _oids(self, folder: str, names: Sequence[str]) -> tuple[str | None, ...]:
        return tuple(self._wanted(posixpath.join(folder, name)) for name in names)

    # -- what DVC would say of it --------------------------------------------------------------------------

    def pointer(self, path: str) -> tuple[str, int] | None:
        """The sha256 and the size that a pointer of Git LFS stands for; None where the file is none, or was not read."""
        found = self._objects.get(self.oid(path) or "")
        data = found.data if found is not None else None
        if data is None or not data.startswith(_POINTER):
            return None
        lines = dict(line.partition(" ")[::2] for line in data[:1024].decode("utf-8", "replace").splitlines())
        size = lines.get("size", "")
        return (lines.get("oid", ""), int(size)) if size.isdigit() and len(size) < 20 else None

    def is_as_recorded(
        self, path: str, md5: str, *, nfiles: int | None = None, legacy: bool = False
    ) -> tuple[bool | None, str]:
        """Whether the file or folder has the md5 that DVC recorded; None where Git can't tell, and why.

        Args:
            path: From the Git root.
            md5: With ``.dir`` at the end for a folder.
            nfiles: How many files the folder had.
            legacy: Whether DVC 2 recorded it, which changed the line ends of text first.
        """
        if self.has_agreed(path, md5):
            return True, ""
        if self.is_folder(path) != md5.endswith(".dir"):
            return False, "it was a folder" if md5.endswith(".dir") else "it was a file"
        paths = self.below(path) if self.is_folder(path) else [path]
        if len(paths) > MOST_COMPARED:
            return None, f"it has more than {MOST_COMPARED:,} files"
        self.bring((), paths)
        contents: dict[str, bytes] = {}
        for each in paths:
            data = self.data(each)
            if self.is_link(each) or data is None or data.startswith(_POINTER):
                return None, f"{each!r} is in Git as something else, or too large"
            contents[each] = data
        ways = [bytes, _with_crlf, *([_without_cr] if legacy else ())]
        ignoring = self._ignoring if self.is_folder(path) else {}
        counted = [each for each in paths if not is_ignored(each, ignoring)] if ignoring else paths
        for way in ways:
            hashes = {each: md5_of(way(contents[each])) for each in counted}
            if md5 == (hashes[path] if path in hashes else self._folder_md5(path, hashes)):
                if not ignoring:  # of the same folder, another commit may leave other files out
                    self._documents.agree(self.oid(path) or "", md5)
                return True, ""
        if self.is_folder(path):
            if ignoring:
                return None, "a .dvcignore says what of it counts"
            if nfiles is None or nfiles > len(paths):
                return None, f"it had other files than Git has ({nfiles} of them, and Git has {len(paths)})"
        if self._is_filtered:
            return None, ".gitattributes make another file of it in the working copy"
        return False, ""

    def has_agreed(self, path: str, md5: str) -> bool:
        """Whether the same file or folder was found to have that md5 before."""
        agreed = self._documents.agreed
        if not agreed or (self.oid(path) or "", md5) not in agreed:
            return False
        return not (self.is_folder(path) and self._ignoring)

    @staticmethod
    def _folder_md5(folder: str, hashes: Mapping[str, str]) -> str:
        start = 0 if folder == "." else len(folder) + 1
        return listing_md5([ListedFile(path[start:], md5) for path, md5 in hashes.items()])

    @cached_property
    def _ignoring(self) -> Mapping[str, Sequence[str]]:
        """The lines of each ``.dvcignore``, by its folder; the one that DVC begins with has comments only."""
        recent = self._documents.recent
        paths = self.named[".dvcignore"]
        new = [path for path in paths if recent.get((_IGNORE, self.oid(path))) is None]
        self.bring((), new)
        for path in new:
            text = self.data(path)
            lines = ("*",) if text is None else ignore_lines(text.decode("utf-8", "replace"))
            recent.put((_IGNORE, self.oid(path)), lines, 1)
        found = {posixpath.dirname(path): recent.get((_IGNORE, self.oid(path))) for path in paths}
        return {folder: lines for folder, lines in found.items() if lines}

    @cached_property
    def _is_filtered(self) -> bool:
        """Whether some ``.gitattributes`` may make another file in the working copy than Git has."""
        texts = self._called(".gitattributes")
        return any(text is None or any(word in text for word in _FILTERS) for text in texts)

    def _called(self, name: str) -> Sequence[bytes | None]:
        """The contents of all files of that name."""
        paths = self.named[name]
        self.bring((), paths)
        return [self.data(path) for path in paths]


def _by_name(paths: Iterable[str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        name = posixpath.basename(path)
        if "/.dvc/" not in f"/{path}" and name != ".dvc":
            found.setdefault(name if name in _NAMES else ".dvc", []).append(path)
    return found


def paths_in(paths: Sequence[str], folder: str) -> Sequence[str]:
    """Those of the sorted paths that are in a folder."""
    # The character after the slash ends the range.
    return paths[bisect_left(paths, f"{folder}/") : bisect_left(paths, f"{folder}0")]


def md5_of(data: bytes) -> str:
    """What DVC hashes bytes to."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _with_crlf(data: bytes) -> bytes:
    """As Git may put text into a working copy on Windows."""
    return data if b"\0" in data else data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _without_cr(data: bytes) -> bytes:
    return data if b"\0" in data else data.replace(b"\r\n", b"\n")
