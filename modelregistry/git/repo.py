"""The one door to Git: references, objects, exclusive creation of a reference, mirrors.

Every call names the repository by ``--git-dir`` and puts ``--`` or ``--end-of-options`` before operands. Only
plumbing is used on a user's repository: ``status``, ``diff`` and ``checkout`` run filters.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BufferedReader
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

from modelregistry.errors import (
    GitError,
    InvalidInputError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from modelregistry.git.call import LOCAL_SECONDS, GitCall
from modelregistry.git.objectfiles import ObjectFiles
from modelregistry.git.objects import GitObject, ObjectReader, entries_of
from modelregistry.givenpath import given_path
from modelregistry.log.tags import MOST_TAG_BYTES, RawTag
from modelregistry.progress import Report
from modelregistry.urlsecrets import without_secrets

_PIPE_BYTES = 1 << 17
_TAG_FORMAT = (
    "%(objectname) %(objecttype) %(raw:size) %(refname)%0a%(if:equals=tag)%(objecttype)%(then)%(raw)%(end)"
)
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMITTED = ("commit: ", "commit (initial): ")
_SCP_URL = re.compile(r"(?:[^/@:]+@)?[^/@:]{2,}:(?!//)")


class Read(Protocol):
    """Reads objects, as ``GitRepo.read`` does."""

    def __call__(
        self, names: Sequence[str], *, limit: int = 1 << 24, most: int | None = None
    ) -> list[GitObject | None]:
        """The objects that ``names`` stand for."""


class Ref(NamedTuple):
    """A reference and the object it names."""

    name: str
    oid: str


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a commit."""

    path: str
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who Git says is writing."""

    name: str
    email: str
    offset: timedelta
    """Of the local clock from UTC."""


def is_url(target: str) -> bool:
    """Whether ``target`` is a Git URL (``https://…``, ``user@host:path``) rather than a path."""
    return "://" in target or (not os.path.exists(target) and bool(_SCP_URL.match(target)))


def check_url(url: str) -> str:
    """The URL itself, if it is one that this library opens.

    Raises:
        InvalidInputError: Another transport than https, http, ssh or file; or it carries a password.
    """
    scheme, separator, rest = url.partition("://")
    # A folder on this machine may have a space in its name.
    looked_at = url.replace(" ", "") if not separator or scheme == "file" else url
    if url.startswith("-") or any(character.isspace() or character == "\0" for character in looked_at):
        raise InvalidInputError(f"not a Git URL: {without_secrets(url)!r}")
    if "::" in url.partition("/")[0] or (separator and scheme not in ("https", "http", "ssh", "file")):
        raise InvalidInputError(
            f"can't open {scheme.partition('::')[0]!r} URLs: use https://, ssh://, user@host:path or file://"
        )
    if separator and scheme != "file" and ":" in rest.rpartition("@")[0]:
        raise InvalidInputError(
            f"the URL of host {rest.rpartition('@')[2].partition('/')[0]!r} carries a password: leave it out and let "
            "Git ask its credential helper or GIT_ASKPASS"
        )
    return url


class GitRepo:
    """One Git repository, by its folders.

    Attributes:
        git_dir: Where its HEAD is.
        common_dir: Where its references and objects are (another folder in a linked working tree).
        root: The top of the working copy; None for a bare repository.
    """

    def __init__(self, git_dir: Path, *, common_dir: Path | None = None, root: Path | None = None) -> None:
        self.git_dir = git_dir
        self.common_dir = common_dir or git_dir
        self.root = root
        self._objects = os.path.join(self.common_dir, "objects")
        self._git = GitCall(git_dir, root or git_dir, common_dir=self.common_dir)
        self._tags = os.path.join(self.common_dir, "refs", "tags")
        self._packed = os.path.join(self.common_dir, "packed-refs")
        tables = os.path.join(self.common_dir, "reftable", "tables.list")
        self._reftable = tables if os.path.exists(tables) else None
        # What names the branch that is checked out, and the default branch of where this was cloned from.
        self._pointers = (
            os.path.join(self.git_dir, "HEAD"),
            os.path.join(self.common_dir, "refs", "remotes", "origin", "HEAD"),
        )
        self._heads: tuple[object, tuple[str, ...]] = (None, ())
        self._kept = threading.local()
        # What others who change references here agreed on; where the contents come from that a clone left out, and
        # where the commits come from that are not here.
        self.guard: Callable[[], AbstractContextManager[object]] = nullcontext
        self.bring: Callable[[Sequence[str]], None] | None = None
        self.bring_commits: Callable[[Sequence[str]], None] | None = None

    def __repr__(self) -> str:
        return f"GitRepo({os.fspath(self.root or self.git_dir)!r})"

    # -- opening -------------------------------------------------------------------------------------------

    @classmethod
    def discover(cls, path: str | os.PathLike[str]) -> GitRepo:
        """The repository that holds ``path``: a working copy, a folder in one, or a bare repository.

        Raises:
            RepositoryNotFoundError: There is none.
            InvalidInputError: It is no path.
        """
        start = given_path(path, "registry").absolute()
        for folder in (start, *start.parents):
            dot_git = folder / ".git"
            if dot_git.is_dir():
                return cls(dot_git, root=folder)
            if dot_git.is_file():
                return cls._linked(dot_git, folder)
            if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
                return cls(folder, root=folder.parent if folder.name == ".git" else None)
        raise RepositoryNotFoundError(
            f"no Git repository at {os.fspath(path)!r} or above it: run 'git init' there"
        )

    @classmethod
    def _linked(cls, dot_git: Path, root: Path) -> GitRepo:
        """The repository of a linked working tree or a submodule, whose ``.git`` is a file."""
        content = dot_git.read_text(errors="replace").strip()
        git_dir = Path(root, content.removeprefix("gitdir:").strip())
        if not content.startswith("gitdir:") or not git_dir.is_dir():
            raise RepositoryNotFoundError(f"{os.fspath(dot_git)!r} does not lead to a Git repository")
        common = git_dir / "commondir"
        common_dir = Path(git_dir, common.read_text().strip()).resolve() if common.is_file() else git_dir
        return cls(git_dir, common_dir=common_dir, root=root)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        timeout: float = LOCAL_SECONDS,
        environment: Mapping[str, str] | None = None,
        report: Report | None = None,
    ) -> bytes:
        """What git prints when called with ``arguments`` on this repository; raises as ``GitCall.run`` does."""
        return self._git.run(arguments, stdin=stdin, timeout=timeout, environment=environment, report=report)

    # -- references ----------------------------------------------------------------------------------------

    def refs(self, *patterns: str) -> list[Ref]:
        """The references that match one of the ``for-each-ref`` patterns, by name."""
        # Asking for no more than name and object id opens no object, so a broken one can't fail the listing.
        output = self.run("for-each-ref", "--format=%(objectname) %(refname)", "--", *patterns)
        # Not splitlines: a name may hold what Unicode takes for the end of a line.
        lines = output.decode("utf-8", "surrogateescape").split("\n")[:-1]
        return [Ref(name, oid) for oid, _, name in (line.partition(" ") for line in lines)]

    def create_ref(self, name: str, oid: str) -> bool:
        """Create ``name`` at ``oid`` if and only if it does not exist; False when it does.

        Raises:
            GitError: It can't be created for another reason.
        """
        try:
            with self.guard():
                self.run("update-ref", "--stdin", stdin=f"create {name} {oid}\n".encode())
        except GitError as error:
            if "reference already exists" in error.stderr:
                return False
            raise
        return True

    def change_refs(self, *, create: Mapping[str, str], delete: Mapping[str, str]) -> None:
        """Create references (each at its object), and delete those that are at that object, all in one go.

        Raises:
            GitError: One of the new ones is at another object already, or git can't.
        """
        with self.guard():
            known = dict(self.refs(*create, *delete)) if create or delete else {}
            lines = [f"create {name} {oid}\n" for name, oid in create.items() if known.get(name) != oid]
            lines += [f"delete {name} {oid}\n" for name, oid in delete.items() if known.get(name) == oid]
            if lines:
                self.run("update-ref", "--stdin", stdin="".join(lines).encode("utf-8", "surrogateescape"))

    def watch(self, directories: Iterable[str]) -> tuple[tuple[object, ...], bool]:
        """A token that changes when a tag in one of ``directories`` (below ``refs/tags``) does, and whether it is safe.

        A second change within one tick of the file system's clock leaves no trace, so a token taken too soon
        after a change is not safe to rely on: the caller reads again until it is.
        """
        now = (
            time.time_ns()
        )  # before the looks, so that a pause between them can't make a fresh change look old
        if self._reftable:
            marks = [file_mark(self._reftable)]
        else:
            marks = [
                file_mark(self._packed),
                *(file_mark(os.path.join(self._tags, name)) for name in directories),
            ]
        return tuple(marks), _settled(marks, now)

    def watch_head(self) -> tuple[tuple[object, ...], bool]:
        """The same for the commits that ``default_branches`` name."""
        now = time.time_ns()
        pointers = [file_mark(path) for path in self._pointers]
        if pointers != self._heads[0]:
            self._heads = pointers, self._read_branches()
        files = [self._reftable or self._packed]
        files += [os.path.join(self.common_dir, name) for name in self._heads[1] if name != "HEAD"]
        marks = [*pointers, *(file_mark(path) for path in files)]
        return (*marks,), _settled(marks, now)

    def tag_directories(self, parent: str, prefix: str) -> list[str]:
        """``parent`` (below ``refs/tags``) and the directories in it, at any depth, whose first name has ``prefix``."""
        found = [parent]
        if self._reftable:
            return found
        pending = [(os.path.join(self._tags, parent), parent, prefix)]
        while pending:
            folder, name, wanted = pending.pop()
            try:
                entries = [
                    entry for entry in os.scandir(folder) if entry.name.startswith(wanted) and entry.is_dir()
                ]
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                path = f"{name}/{entry.name}" if name else entry.name
                found.append(path)
                pending.append((entry.path, path, ""))
        return found

    def default_branches(self) -> tuple[str, ...]:
        """Where to look for the head of the default branch, best first."""
        return self._read_branches()

    def _read_branches(self) -> tuple[str, ...]:
        here, origin = (_read_pointer(path) for path in self._pointers)
        branches = [f"refs/heads/{origin.removeprefix('refs/remotes/origin/')}", origin] if origin else []
        return (*branches, here or "HEAD")

    def tags(self, *patterns: str) -> Iterator[RawTag]:
        """The tags that match one of the patterns (below ``refs/tags``), with their objects, as git comes upon them.

        Raises:
            GitError: Git stumbled over a broken object, maybe after some tags were given: ``tags_carefully`` won't.
        """
        arguments = ["for-each-ref", f"--format={_TAG_FORMAT}", "--"]
        with self._git.conversation([*arguments, *(f"refs/tags/{pattern}" for pattern in patterns)]) as (
            _,
            receive,
        ):
            while head := receive.readline():
                oid, kind, size, ref = head.decode("utf-8", "surrogateescape").rstrip("\n").split(" ", 3)
                data = None
                if kind == "tag" and int(size) <= MOST_TAG_BYTES:
                    data = receive.read(int(size))
                elif kind == "tag":
                    _skip(receive, int(size))
                receive.read(1)
                yield RawTag(ref.removeprefix("refs/tags/"), oid, kind, data)

    def tag_list(self) -> bytes:
        """The tags and the ids of their objects, as git lists them: ``tags_in`` takes that apart."""
        # In half the time of for-each-ref, which does it where an object is missing, or there is no tag at all.
        try:
            return self.run("show-ref", "--tags")
        except GitError:
            return self.run("for-each-ref", "--format=%(objectname) %(refname)", "--", "refs/tags")

    def tag_objects(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """The type of each object, and the data of tags: of many, for two thirds of what ``tags`` costs git.

        Raises:
            GitError: Git stumbled over a broken object, maybe after some were given.
        """
        requests = "".join(f"contents {oid}\n" for oid in oids)
        with self._git.conversation(["cat-file", "--batch-command", "--buffer"]) as (send, answers):
            # A pipe at a time: with each read, two processes change places, and 8 kB of answers are not worth it.
            receive = BufferedReader(cast(BufferedReader, answers).raw, _PIPE_BYTES)
            # Before the flush git answers nothing that would have to be read.
            send(requests.encode() + b"flush\n")
            for _ in oids:
                yield _tag_object(receive)

    def tags_carefully(self, *patterns: str) -> Iterator[RawTag]:
        """The same, slower, and whatever is broken."""
        refs = self.refs(*(f"refs/tags/{pattern}" for pattern in patterns))
        for ref, found in zip(refs, self.read([ref.oid for ref in refs], limit=MOST_TAG_BYTES), strict=True):
            data = found.data if found and found.kind == "tag" else None
            yield RawTag(
                ref.name.removeprefix("refs/tags/"), ref.oid, found.kind if found else "missing", data
            )

    # -- objects -------------------------------------------------------------------------------------------

    def read(
        self, names: Sequence[str], *, limit: int = 1 << 24, most: int | None = None
    ) -> list[GitObject | None]:
        """The objects that ``names`` (object ids, or ``rev:path``) stand for, in one call; None where there is none.

        An object of more than ``limit`` bytes comes without its data, and so do those that come when ``most`` bytes
        were read. Contents that a partial clone left out are fetched, all that are asked for at once.

        Raises:
            RemoteError: They can't be fetched.
        """
        with self.reading() as read:
            return read(names, limit=limit, most=most)

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """What reads as ``read`` does, by one git for as long as the body runs; ``read`` itself is answered by it too.

        For questions that come from answers, and for many commits. One thread's is not another's.
        """
        if (kept := getattr(self._kept, "read", None)) is not None:
            yield kept
            return
        reader = ObjectReader(self._git, ObjectFiles(self._objects))

        def read(
            names: Sequence[str], *, limit: int = 1 << 24, most: int | None = None
        ) -> list[GitObject | None]:
            found = self._read_promised(reader, names, limit, most)
            if self.bring_commits is not None and None in found and self._may_fetch:
                lost = [name for name, each in zip(names, found, strict=True) if each is None]
                missing = self._missing_commits(reader, lost)
                if missing:
                    self.bring_commits(missing)
                    found = self._read_promised(reader, names, limit, most)
            return found

        self._kept.read = read
        try:
            yield read
        except BaseException:
            with suppress(GitError):  # an interrupt ends git, too: that is not what happened
                reader.close()
            raise
        else:
            reader.close()
        finally:
            self._kept.read = None

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Fetch nothing for this thread while the body runs: what was left out of this clone is missing then."""
        before = getattr(self._kept, "at_hand", False)
        self._kept.at_hand = True
        try:
            yield
        finally:
            self._kept.at_hand = before

    @property
    def _may_fetch(self) -> bool:
        return not getattr(self._kept, "at_hand", False)

    def _missing_commits(self, reader: ObjectReader, names: Sequence[str]) -> list[str]:
        """The commits that ``names`` begin with and that are not here."""
        revs = [rev for rev in dict.fromkeys(name.partition(":")[0] for name in names) if _OID.fullmatch(rev)]
        found = self._read_promised(reader, revs, 0, None)
        return [rev for rev, each in zip(revs, found, strict=True) if each is None]

    def _read_promised(
        self, reader: ObjectReader, names: Sequence[str], limit: int, most: int | None
    ) -> list[GitObject | None]:
        try:
            return reader.read(names, limit, most)
        except GitError as error:
            if not self._bring(error, names):
                raise
            return reader.read(names, limit, most)

    def _bring(self, error: GitError, names: Sequence[str]) -> bool:
        """Fetch what ``names`` stand for, if it was left out of this clone and git said so; whether that was done."""
        if self.bring is None or not self._may_fetch or "from promisor remote" not in error.stderr:
            return False
        oids = [name for name in names if _OID.fullmatch(name)]
        folders: dict[str, list[str]] = {}
        for name in names:
            rev, colon, path = name.partition(":")
            if colon:
                folder, _, file = path.rpartition("/")
                folders.setdefault(f"{rev}:{folder}", []).append(file)
        # Folders are never left out, only files; git knows no way to ask which.
        for tree, files in zip(self._read_trees(list(folders)), folders.values(), strict=True):
            known = (
                {name: oid for name, mode, oid in entries_of(tree) if mode.startswith("100")} if tree else {}
            )
            oids += [known[file] for file in files if file in known]
        self.bring(list(dict.fromkeys(oids)))
        return True

    def _read_trees(self, names: Sequence[str]) -> list[GitObject | None]:
        reader = ObjectReader(self._git, ObjectFiles(self._objects))
        try:
            return reader.read(names, 1 << 26, None)
        finally:
            reader.close()

    def read_file(self, rev: str, path: str, *, limit: int = 1 << 24) -> bytes | None:
        """The content of the file ``path`` at commit ``rev``; None if there is none (or it is a folder)."""
        found = self.read([f"{rev}:{path}"], limit=limit)[0]
        return found.data if found is not None and found.kind == "blob" else None

    def resolve(self, rev: str) -> str:
        """The commit id that ``rev`` stands for.

        Raises:
            RevisionNotFoundError: It stands for none.
        """
        try:
            if not isinstance(rev, str) or not rev.isprintable():
                raise GitError("unprintable")
            output = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
        except GitError as error:
            hint = "the repository has no commit yet" if rev == "HEAD" else f"no commit {rev!r} here"
            then = "commit the project first" if rev == "HEAD" else "'git fetch' may bring it"
            raise RevisionNotFoundError(f"{hint}: {then}{self._partial_hint()}") from error
        return output.decode().strip()

    def list_files(self, rev: str, path: str) -> list[TreeEntry]:
        """The files at ``path`` (a file or a folder) of commit ``rev``, by path from the Git root."""
        output = self.run("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", rev, "--", path or ".")
        entries = []
        for record in output.split(b"\0")[:-1]:
            facts, _, name = record.partition(b"\t")
            mode, kind, oid = facts.decode().split()
            if kind == "blob":  # and no submodule
                entries.append(TreeEntry(name.decode("utf-8", "surrogateescape"), mode, oid))
        return entries

    def export(self, oid: str, target: Path) -> None:
        """Write the content of blob ``oid`` to ``target``, whatever its size."""
        try:
            self._export(oid, target)
        except GitError as error:
            if not self._bring(error, [oid]):
                raise
            self._export(oid, target)

    def _export(self, oid: str, target: Path) -> None:
        with self._git.conversation(["cat-file", "blob", oid]) as (_, receive), open(target, "wb") as file:
            shutil.copyfileobj(receive, file, 1 << 20)

    def pack(self, tips: Iterable[str], target: IO[bytes], *, timeout: float) -> None:
        """Write a pack with all that the objects need; the same objects make the same bytes.

        Args:
            tips: The objects, by their ids.
            target: Where it goes, on whatever disk: git itself could only rename what it writes in its own folder.
            timeout: Seconds after which git is ended.

        Raises:
            GitError: Something is missing or damaged.
        """
        # What other packs have is not used again, one thread works, and no configuration counts.
        command = [
            "pack-objects", "--revs", "--stdout", "--quiet", "--threads=1", "--no-reuse-object", "--no-reuse-delta",
            "--no-use-bitmap-index", "--delta-base-offset", "--compression=6", "--window=10", "--depth=50",
        ]  # fmt: skip
        with self._git.conversation(command, timeout=timeout) as (send, receive):
            send("".join(f"{oid}\n" for oid in tips).encode() + b"\n")
            shutil.copyfileobj(receive, target, 1 << 20)

    # -- writing -------------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Who Git says is writing.

        Raises:
            GitError: Git does not know.
        """
        try:
            line = self.run("var", "GIT_COMMITTER_IDENT").decode("utf-8", "replace").strip()
        except GitError as error:
            raise GitError(
                "Git does not know who you are: run 'git config user.name …' and 'git config user.email …'",
                arguments=error.arguments, stderr=error.stderr, status=error.status,
            ) from error  # fmt: skip
        who, _, zone = line.rpartition(" ")[0].rpartition(" ")[0], "", line.rpartition(" ")[2]
        name, _, email = who.partition(" <")
        return Identity(name, email.rstrip(">"), _offset(zone))

    def write_tag(self, text: bytes) -> str:
        """Store a tag object and return its id; no reference names it yet."""
        return self.run("mktag", stdin=text).decode().strip()

    def write_commit(self, rev: str, message: str, *, files: Mapping[str, bytes] | None = None) -> str:
        """Store a commit on top of ``rev`` with the same tree (but for ``files``) and return its id."""
        tree = f"{rev}^{{tree}}"
        if files:
            with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
                index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
                self.run("read-tree", rev, environment=index)
                for path, data in files.items():
                    oid = self.run("hash-object", "-w", "--stdin", stdin=data).decode().strip()
                    self.run(
                        "update-index", "--add", "--cacheinfo", f"100644,{oid},{path}", environment=index
                    )
                tree = self.run("write-tree", "--missing-ok", environment=index).decode().strip()
        else:
            tree = self.run("rev-parse", "--verify", tree).decode().strip()
        return self.run("commit-tree", tree, "-p", rev, stdin=message.encode()).decode().strip()

    # -- what kind of clone --------------------------------------------------------------------------------

    @property
    def is_shallow(self) -> bool:
        """Whether older commits, and tags on them, were left out of this clone."""
        return os.path.exists(os.path.join(self.common_dir, "shallow"))

    @property
    def is_tagless(self) -> bool:
        """Whether this clone was told not to fetch tags."""
        try:
            with open(os.path.join(self.common_dir, "config"), encoding="utf-8", errors="replace") as file:
                return "--no-tags" in file.read()
        except OSError:
            return False

    @property
    def is_partial(self) -> bool:
        """Whether events may be missing from this clone."""
        return self.is_shallow or self.is_tagless

    def _partial_hint(self) -> str:
        return " (this clone is shallow: 'git fetch --unshallow --tags')" if self.is_shallow else ""

    def commits_made_here(self, limit: int = 500) -> list[str]:
        """Commits that were made in this very clone, newest first, as its private reflog tells.

        Amended and merged ones are left out: they carry what others made.
        """
        try:
            with open(os.path.join(self.git_dir, "logs", "HEAD"), encoding="utf-8", errors="replace") as file:
                lines = file.readlines()
        except OSError:
            return []
        made = [line.split(" ", 2)[1] for line in lines if line.partition("\t")[2].startswith(_COMMITTED)]
        return list(dict.fromkeys(reversed(made)))[:limit]


def _skip(receive: IO[bytes], size: int) -> None:
    while size > 0 and (chunk := receive.read(min(size, 1 << 20))):
        size -= len(chunk)


def _tag_object(receive: IO[bytes]) -> tuple[str, bytes | None]:
    """What ``contents`` answers: the object's type, and its data where it is a tag that is not too large."""
    head = receive.readline().split()
    if len(head) != 3:
        if not head:
            raise ValueError("git cat-file ended early")
        return "missing", None
    kind, size = head[1].decode(), int(head[2])
    if kind != "tag" or size > MOST_TAG_BYTES:
        _skip(receive, size + 1)
        return kind, None
    data = receive.read(size + 1)
    if len(data) <= size:
        raise ValueError("git cat-file ended early")
    return kind, data[:-1]


def tags_in(listed: bytes) -> Iterator[tuple[str, str]]:
    """The name of every tag, and the id of its object."""
    for line in listed.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        oid, _, name = line.partition(" refs/tags/")
        yield name, oid


def file_mark(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """What a file or folder looks like from outside."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read_pointer(path: str) -> str | None:
    """The reference that a symbolic one names; None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(1000).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text.removeprefix("ref: ") if text.startswith("ref: refs/") else None


def _settled(marks: Iterable[tuple[int, int, int] | None], now: int) -> bool:
    """Whether every mark is old enough that a later change must show."""
    newest = max((mark[0] for mark in marks if mark), default=0)
    # Whole seconds: a file system with a coarse clock (2 s on FAT); else the kernel's tick, 10 ms at most.
    tick = 50_000_000 if newest % 1_000_000_000 else 2_500_000_000
    return now - newest > tick


def _offset(zone: str) -> timedelta:
    sign = -1 if zone.startswith("-") else 1
    digits = zone.lstrip("+-")
    if len(digits) != 4 or not digits.isdigit():
        return timedelta()
    return sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
