"""Brings models in from the repositories that make them, as ``dvc import`` would; verified, and not committed yet."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import JsonValue

from modelregistry.callers import warn
from modelregistry.errors import (
    IntegrityError,
    InvalidInputError,
    RefusedError,
    RegistryError,
    RegistryWarning,
    RemoteError,
    RepositoryNotFoundError,
)
from modelregistry.git.repo import GitRepo
from modelregistry.git.workingcopy import WorkingCopy
from modelregistry.intake.arrivals import Arrival
from modelregistry.intake.imports import Import, Located, SourceProject, locate, source_place
from modelregistry.intake.receiving import (
    BROUGHT,
    ORIGIN,
    Received,
    Receiver,
    check_words,
    described_files,
    with_wish,
)
from modelregistry.lineage.sources import places
from modelregistry.names import Reference
from modelregistry.progress import Callback, Progress, Together, reported
from modelregistry.project.declarations import Declarations
from modelregistry.project.declarationtexts import Declaration
from modelregistry.project.dvcfiles import dvc_file_outputs
from modelregistry.project.dvcfiletexts import (
    Imported,
    imported_text,
    read_imported,
    updated_text,
)

Item = TypeVar("Item")
Result = TypeVar("Result")
_AT_ONCE = 8


class Importer:
    """Brings models from other repositories into one.

    Args:
        repo: That one.
        declarations: What it declares.
        receiver: What takes things in there.
        open_source: Opens another repository, by its URL or absolute path.
        is_known: Whether the log has a model.
    """

    def __init__(
        self,
        repo: GitRepo,
        declarations: Declarations,
        receiver: Receiver,
        *,
        open_source: Callable[[str], SourceProject],
        is_known: Callable[[str], bool],
    ) -> None:
        self._repo = repo
        self._declarations = declarations
        self._receiver = receiver
        self._open = open_source
        self._is_known = is_known

    def receive(self, wanted: Sequence[Import], *, progress: Progress) -> tuple[str, list[Received]]:
        """The commit that is checked out, and the verified bytes of all; nothing is changed yet.

        Raises:
            InvalidInputError: A wish contradicts itself or another.
            NotFoundError: No such repository, version, revision or path.
            RefusedError: A name is taken, or a version was withdrawn.
            WorkingCopyError: They could not be committed here.
            RemoteError: A repository can't be reached.
            MissingBytesError: Some bytes are nowhere to be had.
            IntegrityError: Bytes are not what the source says.
        """
        if not wanted or not all(isinstance(each, Import) for each in wanted):
            raise InvalidInputError(
                'import_models takes a list of Import("url", "churn#current"), and not an empty one'
            )
        for each in wanted:
            check_words(each.metadata, each.version)
        urls = [source_place(each.url) for each in wanted]
        sources = self._open_all(urls)
        located = []
        for each, url in zip(wanted, urls, strict=True):
            with told(each.as_name or each.name_or_path or each.reference or "", url):
                located.append(locate(sources[url], each))
        head = self._receiver.check([(each.model, each.path) for each in located])
        check_names(located, self._declarations, self._repo, head, is_known=self._is_known)
        received = fetch(located, progress=progress)
        return head, [
            with_wish(one, each.metadata, version=each.version, bump=each.bump)
            for one, each in zip(received, wanted, strict=True)
        ]

    def _open_all(self, urls: Sequence[str]) -> Mapping[str, SourceProject]:
        unique = [*dict.fromkeys(urls)]

        def open_one(url: str) -> SourceProject:
            source = self._open(url)
            if source.repo.common_dir.resolve() == self._repo.common_dir.resolve():
                raise InvalidInputError(f"{url!r} is this very repository: register() what it has")
            return source

        return dict(zip(unique, in_parallel(open_one, unique), strict=True))

    def look(
        self,
        head: str,
        model: str,
        *,
        url: str | os.PathLike[str] | None,
        rev: str | None,
        reference: str | None,
    ) -> Look:
        """What the source of an imported model has now.

        Args:
            head: The commit that is checked out.
            model: The model.
            url: Where the source is by now, if it moved.
            rev: Another revision than was asked for before.
            reference: Another reference.

        Raises:
            RefusedError: The model is not declared, or was not imported; or the version was withdrawn.
            NotFoundError: No such repository, version, revision or path any more.
            RemoteError: The repository can't be reached.
        """
        path, here = imported(self._declarations, self._repo, head, model)
        failure: RegistryError | None = None
        asks = any(each is not None for each in (url, rev, reference))
        if url is not None:
            written = source_place(url)
            there = [written]
        else:
            written = here.url
            there = [*places(here.url, lambda: [os.fspath(self._repo.root or "")], f"{path}.dvc")]
        with told(model, written):
            for place in there:
                try:
                    source = self._open_all([source_place(place)])[source_place(place)]
                except (
                    RepositoryNotFoundError,
                    RemoteError,
                ) as error:  # what is relative may lead to several places
                    failure = failure or error
                    continue
                if url is not None:
                    _check_same_project(source, here, model)
                wish = wish_again(here, model, path, place, rev=rev, reference=reference)
                return Look(here, locate(source, wish), written, asks=asks)
            advice = f"if it moved, update_import({model!r}, url=…) says where it is now"
            if isinstance(failure, RemoteError) or url is not None:
                assert failure is not None
                failure.add_note(advice)
                raise failure
            raise RepositoryNotFoundError(
                f"{failure or f'nothing says where {here.url!r} is'}: {advice}"
            ) from failure

    def bring(self, head: str, look: Look, *, progress: Progress) -> Received | None:
        """What is new in the source; None where its bytes are those that are here.

        Raises:
            MissingBytesError: Some bytes are nowhere to be had.
            IntegrityError: Bytes are not what the source says.
        """
        (received,) = fetch([look.there], progress=progress)
        file = f"{look.there.path}.dvc"
        text = self._repo.read_file(head, file) or b""
        tracked = dvc_file_outputs(file, text)[0].out
        if tracked.md5 == received.tracked.md5 and not tracked.legacy:
            return None
        return received.with_text(updated_text(text, file, received.tracked, look.origin))

    def note(self, head: str, look: Look) -> str:
        """Commit what is asked for from now on, where the bytes are those that are here; returns the commit.

        Raises:
            WorkingCopyError: The ``*.dvc`` file can't be changed and committed now.
        """
        file = f"{look.there.path}.dvc"
        text = updated_text(self._repo.read_file(head, file) or b"", file, None, look.origin)
        message = f"Follow {look.url} for {look.there.model}"
        return WorkingCopy(self._repo).commit({file: text}, message, base=head)


@dataclass(frozen=True, slots=True)
class Look:
    """Where an imported model is from, and what is there now."""

    here: Imported
    there: Located
    url: str
    """What the ``*.dvc`` file is to say of where that is."""
    asks: bool = False
    """Whether something else is asked for from now on."""

    @property
    def origin(self) -> Imported:
        """Where it is from, as the ``*.dvc`` file is to say it."""
        return replace(self.there.origin, url=self.url)

    @property
    def is_same(self) -> bool:
        """Whether it is the very commit and path that was imported."""
        mine, other = self.here, self.there.origin
        return (mine.rev_lock, mine.path) == (other.rev_lock, other.path)


# -- what is here already ----------------------------------------------------------------------------------


def check_names(
    wanted: Sequence[Located],
    declarations: Declarations,
    repo: GitRepo,
    head: str,
    *,
    is_known: Callable[[str], bool],
) -> None:
    """Refuse names that are taken, but by the very import that is wanted, which may be finished.

    Args:
        wanted: What is to be imported.
        declarations: What the repository declares.
        repo: The repository.
        head: The commit that is checked out.
        is_known: Whether the log has a model.

    Raises:
        InvalidInputError: Two of them have one name, or one path.
        RefusedError: A name is taken.
    """
    for what in ("model", "path"):
        names = [getattr(each, what) for each in wanted]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidInputError(
                f"two of them would have the {what} {twice!r}: as_name= and path= say others"
            )
    for each in wanted:
        declared = declarations.at(head, each.model)
        if declared is None:
            if is_known(each.model):
                raise RefusedError(
                    f"{each.model!r} is registered here already, and was not imported: as_name= gives it another name"
                )
            continue
        here = _imported_at(repo, head, declared.path)
        if here is None or (here.url, here.path) != (each.origin.url, each.origin.path):
            raise RefusedError(
                f"dvc.yaml declares {each.model!r} already, at {declared.path!r}"
                f"{f', imported from {here.url!r}' if here else ''}: as_name= gives it another name"
            )
        if here != each.origin or declared.path != each.path:
            raise RefusedError(
                f"{each.model!r} was imported from there already, at {here.rev_lock[:10]} to {declared.path!r}: "
                f"update_import({each.model!r}) brings another version"
            )


def imported(declarations: Declarations, repo: GitRepo, head: str, model: str) -> tuple[str, Imported]:
    """Where an imported model is in the repository, and where it came from.

    Raises:
        RefusedError: It is not declared, or was not imported.
    """
    declared = declarations.at(head, model)
    here = _imported_at(repo, head, declared.path) if declared is not None else None
    if declared is None or here is None:
        what = (
            f"{declared.path!r} was not imported from another repository, nor is it tracked by a URL"
            if declared
            else "dvc.yaml does not declare it"
        )
        raise RefusedError(f"{model!r} can't be updated: {what}")
    return declared.path, here


def _check_same_project(source: SourceProject, here: Imported, model: str) -> None:
    """Warn where a project that is said to have moved does not have what was imported of it."""
    try:
        source.repo.resolve(here.rev_lock)
    except RegistryError:
        warn(
            f"{source.url!r} does not have commit {here.rev_lock[:10]}, at which {model!r} was imported: it may be another "
            "project",
            RegistryWarning,
        )


def wish_again(
    here: Imported, model: str, path: str, place: str, *, rev: str | None, reference: str | None
) -> Import:
    """What was asked for when it was imported, to be asked again; at ``rev``, or by ``reference``, if one is given."""
    name = here.model or (Reference.parse(here.reference).model if here.reference is not None else None)
    if reference is not None:
        return Import(place, name, reference=reference, rev=rev, as_name=model, path=path)
    if rev is None and here.reference is not None:
        return Import(place, None, reference=here.reference, as_name=model, path=path)
    # What is spelt so is a path, whatever is declared.
    return Import(place, name or f"./{here.path}", rev=rev or here.rev, as_name=model, path=path)


def _imported_at(repo: GitRepo, head: str, path: str) -> Imported | None:
    text = repo.read_file(head, f"{path}.dvc")
    return read_imported(text, f"{path}.dvc") if text is not None else None


# -- bytes -------------------------------------------------------------------------------------------------


def fetch(wanted: Sequence[Located], *, progress: Progress) -> list[Received]:
    """The verified bytes of all, fetched at once.

    Raises:
        MissingBytesError: Some are nowhere to be had.
        IntegrityError: They are not what the source's registry, or its DVC, says.
        CacheError: They can't be kept.
    """
    sizes = [each.size for each in wanted]
    what = repr(wanted[0].model) if len(wanted) == 1 else f"{len(wanted)} models"
    with reported(progress, f"importing {what}") as report:
        together = Together(report, sizes)

        def bring(number: int) -> Received:
            with told(wanted[number].model, wanted[number].source.url):
                found = _fetch_one(wanted[number], together.part(number))
            together.finish(number, found.tracked.size)
            return found

        return in_parallel(bring, range(len(wanted)), stop=together.stop)


def in_parallel(
    do: Callable[[Item], Result], items: Sequence[Item], *, stop: Callable[[], object] = bool
) -> list[Result]:
    """What ``do`` gives for each item; where one fails, what has not begun is left.

    ``stop`` is called when this is interrupted, and ends what has begun.
    """
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        pending = [pool.submit(do, item) for item in items]
        try:
            return [each.result() for each in pending]
        except BaseException as error:
            if not isinstance(error, Exception):
                stop()
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_one(wanted: Located, progress: Callback) -> Received:
    content, origin = wanted.source.content, wanted.origin
    obtained = content.obtain(origin.rev_lock, origin.path, progress=progress)
    found, place = obtained.content, obtained.place
    version = wanted.version
    if version is not None and version.digest not in (None, found.digest):
        raise IntegrityError(
            f"{origin.path!r} is not what {version.reference} was registered with: nothing was imported",
            path=origin.path, expected=str(version.digest), found=str(found.digest),
        )  # fmt: skip
    declared = wanted.declaration
    arrival = Arrival(
        wanted.model, wanted.path, b"", type=(declared.type if declared else None) or "model",
        description=declared.description if declared else None, labels=declared.labels if declared else (),
        meta=meta_of(declared) if declared else {}, beside=dict(filter(None, [wanted.example()])),
    )  # fmt: skip
    files = described_files(place, found.files)
    if not obtained.is_directory:
        files = (files[0].model_copy(update={"path": posixpath.basename(wanted.path)}),)
    received = Received(
        arrival, place, files, obtained.is_directory, given=obtained.is_ours,
        metadata=words_of(wanted),
    )  # fmt: skip
    return received.with_text(imported_text(posixpath.basename(wanted.path), received.tracked, origin))


def words_of(wanted: Located) -> Mapping[str, JsonValue]:
    """What a registration says of it: what its source says, and where it is from."""
    along = wanted.brought_along()
    origin: dict[str, JsonValue] = {
        **wanted.facts, BROUGHT: [*sorted(along.metadata)], "left": [*along.left]
    }  # fmt: skip
    return {**along.metadata, ORIGIN: {key: value for key, value in origin.items() if value != []}}


def meta_of(declared: Declaration) -> Mapping[str, object]:
    """What ``dvc.yaml`` says of it besides; not the name of a file of that repository, whose text comes along."""
    return {key: value for key, value in declared.meta.items() if key != "card" or not isinstance(value, str)}


@contextmanager
def told(model: str, url: str) -> Iterator[None]:
    """Whatever goes wrong says which model it was, and from where."""
    try:
        yield
    except RegistryError as error:
        error.add_note(f"while {model!r} was imported from {url!r}")
        raise
