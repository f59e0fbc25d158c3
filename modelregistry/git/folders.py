"""The folders of commits, read by their ids, so that what many commits share is read and looked through once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from modelregistry.errors import GitError
from modelregistry.git.objects import GitObject, raw_entries
from modelregistry.git.repo import Read

MOST_LISTED = 200_000
"""Files that are listed of one folder: in Git, few objects make a folder without an end."""
MOST_FOUND = 20_000
"""Files with one of the names that are told of one commit."""
_MOST_BYTES = 64 << 20
_MOST_KEPT = 20_000
_MOST_DEPTH = 100
_FOLDER, _SUBMODULE = "40000", "160000"


class Item(NamedTuple):
    """Something in a folder."""

    mode: str
    """As Git writes it."""
    oid: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.mode == _FOLDER

    @property
    def is_submodule(self) -> bool:
        """Whether it is a submodule, whose id is that of a commit elsewhere."""
        return self.mode == _SUBMODULE

    @property
    def is_file(self) -> bool:
        """Whether it is a file, or a link."""
        return self.mode not in (_FOLDER, _SUBMODULE)


Items = Mapping[str, Item]


class Memory:
    """What is known of folders, for all commits of a process."""

    def __init__(self) -> None:
        self.items: dict[str, Items] = {}
        self.found: dict[str, tuple[str, ...]] = {}
        self._entries: dict[tuple[bytes, bytes, bytes], tuple[str, Item]] = {}

    def add(self, tree: GitObject) -> Items:
        """What a folder that was read has in it."""
        items: dict[str, Item] = {}
        known = self._entries  # from one commit to the next, most of a folder stays as it is
        for raw in raw_entries(tree):
            entry = known.get(raw)
            if entry is None:
                mode, name, oid = raw
                item = Item(mode.decode(), oid.hex())
                entry = known[raw] = name.decode("utf-8", "surrogateescape"), item
            items[entry[0]] = entry[1]
        bound(known)
        self.items[tree.oid] = items
        return items


class Folders:
    """The folders of one commit.

    Args:
        root: The id of its top folder.
        memory: What is known of others.
        ask: Reads objects.
        names: The names of files, or their ends with a dot, that ``found`` tells.
    """

    def __init__(self, root: str, memory: Memory, ask: Read, names: Sequence[str]) -> None:
        self._root = root
        self._memory = memory
        self._ask = ask
        self._whole = frozenset(names)
        self._ends = tuple(name for name in names if name.startswith("."))
        self._known: dict[str, Items] = {}
        self._at: dict[str, Item | None] = {}
        self._walked: dict[str, tuple[str, Item] | None] = {}
        self._found: dict[str, tuple[str, ...]] = {}

    def _load(self, oids: Iterable[str]) -> None:
        """Know these folders; those that are not known yet are read at once."""
        new = [oid for oid in dict.fromkeys(oids) if oid not in self._known]
        self._known.update((oid, items) for oid in new if (items := self._memory.items.get(oid)) is not None)
        new = [oid for oid in new if oid not in self._known]
        for oid, tree in zip(new, self._ask(new, limit=_MOST_BYTES) if new else (), strict=True):
            if tree is None or tree.data is None or tree.kind != "tree":
                raise GitError(f"the folder {oid} is missing, or too large to be read")
            self._known[oid] = self._memory.add(tree)
        bound(self._memory.items)

    def _items(self, oid: str) -> Items:
        if oid not in self._known:
            self._load([oid])
        return self._known[oid]

    def item(self, path: str) -> Item | None:
        """What is at a path from the top; nothing is known of what is in a submodule."""
        if path not in self._at:
            found = self._walk(path)
            self._at[path] = found[1] if found is not None and found[0] == path else None
        return self._at[path]

    def submodule(self, path: str) -> tuple[str, str] | None:
        """The path of the submodule that is ``path``, or that has it, and its commit."""
        found = self._walk(path)
        return (found[0], found[1].oid) if found is not None and found[1].is_submodule else None

    def _walk(self, path: str) -> tuple[str, Item] | None:
        """What is at a path, or the submodule on the way, with its own path."""
        if path not in self._walked:
            self._walked[path] = self._look(path)
        return self._walked[path]

    def _look(self, path: str) -> tuple[str, Item] | None:
        found = Item(_FOLDER, self._root)
        if path in ("", "."):
            return path, found
        end = 0
        for name in path.split("/"):
            if found.is_submodule:
                return path[: end - 1], found
            inner = self._items(found.oid).get(name) if found.is_folder else None
            if inner is None:
                return None
            found = inner
            end += len(name) + 1
        return path, found

    def files(self, path: str) -> tuple[Sequence[str], bool]:
        """The paths of the files and submodules below a folder, sorted, and whether those are all."""
        top = self.item(path)
        if top is None or not top.is_folder:
            return (), True
        found: list[str] = []
        level = [("" if path in ("", ".") else f"{path}/", top.oid)]
        for _ in range(_MOST_DEPTH):
            self._load(oid for _, oid in level)
            inner = []
            for folder, oid in level:
                for name, item in self._known[oid].items():
                    if item.is_folder:
                        inner.append((f"{folder}{name}/", item.oid))
                    else:
                        found.append(folder + name)
                if len(found) + len(inner) > MOST_LISTED:
                    return sorted(found[:MOST_LISTED]), False
            level = inner
            if not level:
                return sorted(found), True
        return sorted(found), False

    def top(self) -> tuple[list[str], list[tuple[str, str]]]:
        """The files in the top folder that have one of the names, and the name and the id of each folder in it."""
        files, folders = [], []
        for name, (mode, oid) in self._items(self._root).items():
            if mode == _FOLDER:
                folders.append((name, oid))
            elif mode != _SUBMODULE and self._is_wanted(name):
                files.append(name)
        return files, sorted(folders)

    def found(self) -> tuple[list[str], Sequence[tuple[str, str, Sequence[str]]], bool]:
        """All files that have one of the names, and whether those are all.

        Returns:
            Those in the top folder; for each folder in it with some, its name, its id and their paths in it; and whether
            there are no more.
        """
        top, folders = self.top()
        whole = self._look_through(oid for _, oid in folders)
        inner = [(name, oid, paths) for name, oid in folders if (paths := self._found.get(oid))]
        left = max(MOST_FOUND - len(top), 0)
        counts = [len(paths) for _, _, paths in inner]
        if sum(counts) > left or max(counts, default=0) >= MOST_FOUND:
            inner, whole = _least(inner, left), False
        return top[:MOST_FOUND], sorted(inner), whole

    def _look_through(self, oids: Iterable[str]) -> bool:
        """Know what is found in folders; whether it is all."""
        level = list(dict.fromkeys(oids))
        seen = set(level)
        order: list[str] = []
        for _ in range(_MOST_DEPTH):
            level = [oid for oid in level if not self._recalls(oid)]
            if not level:
                break
            self._load(level)
            order += level
            level = [
                item.oid
                for oid in level
                for item in self._known[oid].values()
                if item.is_folder and item.oid not in seen
            ]
            level = list(dict.fromkeys(level))
            seen.update(level)
        # What is in a folder is known before the folder is: a folder can't be in itself.
        pending = list(reversed(order))
        while pending:
            later = []
            for oid in pending:
                paths = self._found_in(oid)
                if paths is None:
                    later.append(oid)
                    continue
                self._found[oid] = self._memory.found[oid] = tuple(paths[:MOST_FOUND])
            if len(later) == len(pending):  # deeper than what was walked
                return False
            pending = later
        bound(self._memory.found)
        return True

    def _is_wanted(self, name: str) -> bool:
        return name in self._whole or name.endswith(self._ends)

    def _recalls(self, oid: str) -> bool:
        known = self._memory.found.get(oid)
        if known is not None:
            self._found[oid] = known
        return oid in self._found

    def _found_in(self, oid: str) -> list[str] | None:
        """Those below a folder, once those below each folder in it are known; what has the most comes last."""
        items = self._known[oid]
        inner = {name: self._found.get(item.oid) for name, item in items.items() if item.is_folder}
        if None in inner.values():
            return None
        paths = [name for name, item in items.items() if item.is_file and self._is_wanted(name)]
        for name, found in sorted(inner.items(), key=lambda pair: len(pair[1] or ())):
            paths += (f"{name}/{path}" for path in found or ())
            if len(paths) > MOST_FOUND:
                break
        return paths


def bring(memory: Memory, roots: Iterable[str], ask: Read) -> None:
    """Know the folders of many commits, by the ids of their top folders: each is read once, those of a depth at once."""
    level = [oid for oid in dict.fromkeys(roots) if oid not in memory.items]
    for _ in range(_MOST_DEPTH):
        if not level:
            return
        below: dict[str, None] = {}
        for tree in ask(level, limit=_MOST_BYTES):
            if tree is None or tree.data is None or tree.kind != "tree":
                continue  # whoever looks into it is told
            items = memory.add(tree)
            below |= dict.fromkeys(item.oid for item in items.values() if item.is_folder)
        level = [oid for oid in below if oid not in memory.items]


def _least(
    folders: list[tuple[str, str, tuple[str, ...]]], most: int
) -> list[tuple[str, str, tuple[str, ...]]]:
    """The folders with as many of their paths as may be in all; those of the folder that has the most are left out first."""
    found = []
    for name, oid, paths in sorted(folders, key=lambda folder: len(folder[2])):
        found.append((name, oid, paths[:most]))
        most = max(most - len(paths), 0)
    return found


def bound(kept: dict[Any, Any], most: int = _MOST_KEPT) -> None:
    """Forget the older half where it is too much; whoever uses it has it still."""
    if len(kept) > most:
        for key in list(kept)[: most // 2]:
            kept.pop(key, None)
