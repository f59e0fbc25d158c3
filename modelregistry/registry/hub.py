"""What every verb of a registry stands on: its repository, its log, the fold of a model, and one way to write."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from modelregistry import config
from modelregistry.backends.base import FEW, Backend, Log
from modelregistry.callers import warn
from modelregistry.content.content import ContentReader
from modelregistry.content.store import Store
from modelregistry.display.shown import Shown
from modelregistry.errors import (
    InvalidInputError,
    MissingBytesError,
    OutcomeUnknownError,
    PartialViewWarning,
    RemoteError,
)
from modelregistry.git.commits import Commits
from modelregistry.git.remote import GitRemote, bring_promised, choose_remote
from modelregistry.git.repo import GitRepo, is_url
from modelregistry.log.events import Event, Registered
from modelregistry.log.history import History, Stages
from modelregistry.log.marks import Marks
from modelregistry.log.tags import render
from modelregistry.names import check_model
from modelregistry.plugins import BACKENDS, GIT, STORAGES, load_class, open_backend
from modelregistry.progress import Progress, check_progress
from modelregistry.project.declarations import Declarations, declaring_file
from modelregistry.trust.privatefile import PrivateFile, home_folder
from modelregistry.urlsecrets import without_secrets
from modelregistry.version import ModelVersion

# The rules of writing are imported by the verbs that write: a service that only loads starts the sooner.

if TYPE_CHECKING:
    from modelregistry.cards.sources import Surroundings
    from modelregistry.content.cache import Cache
    from modelregistry.display.view import View
    from modelregistry.git.mirror import GitMirror
    from modelregistry.log.changes import Change
    from modelregistry.log.verified import VerifiedBackend
    from modelregistry.log.writing import Decide, Pin, Sign
    from modelregistry.search.clues import Clue
    from modelregistry.trust.signers import Signers

_log = logging.getLogger("modelregistry")
MAX_AGE = 60.0
_ORIGIN = "origin"
_MOST_IN_MEMORY = 50_000
"""Events that a search leaves behind in memory; each weighs a few kilobytes."""


@dataclass(slots=True)
class Folded:
    """A model as last read, and the token that says whether it still is so."""

    token: Hashable | None
    log: Log
    history: History
    versions: dict[str, ModelVersion] = field(default_factory=dict)


class Hub(Shown):
    """What every verb stands on: its repository, its log, the fold of a model, and one way to write."""

    def __init__(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        remote: str | None = _ORIGIN,
        push: bool = True,
        max_age: float = MAX_AGE,
        offline: bool = False,
        sign: bool = False,
        signers: Signers | Mapping[str, str] | str | os.PathLike[str] | None = None,
        strict: bool = False,
        backend: Backend | str | None = None,
        progress: Progress = None,
    ) -> None:
        check_progress(progress)
        self._progress = progress
        self.target = config.choose_target(target)
        self._url = self.target if is_url(self.target) else None
        self._max_age = float("inf") if offline else max_age
        self._offline = offline
        self._cache = cache = config.cache_folder()
        self._mirror: GitMirror | None = None
        if self._url:
            if not push:
                raise InvalidInputError(
                    "push=False needs a clone to stage changes in: open a path, not a URL"
                )
            if remote not in (None, _ORIGIN):
                raise InvalidInputError(f"a URL is its own remote: leave remote= out, not {remote!r}")
            from modelregistry.git.mirror import GitMirror

            self._mirror = GitMirror.open(
                self._url, cache / "mirrors", max_age=self._max_age, progress=progress
            )
            self._repo = self._mirror.repo
        else:
            self._repo = GitRepo.discover(self.target)
            self._repo.bring = partial(bring_promised, self._repo)
        if offline:
            self._repo.bring = _bring_nothing
        self._remote_name = remote
        self._push = push
        if remote not in (None, _ORIGIN):
            self._shared()  # a misspelt one is told at once
        policy = config.read_signers(signers, strict=strict)
        self._log = self._open_log(backend)
        self._commits = Commits(self._repo, self._shared)
        if not self._in_tags and not offline:
            self._repo.bring_commits = self._commits.bring
        # What was seen of the log: of the events that count, where there is a policy.
        self._marks = Marks(home_folder() / ("marks" if policy is None else "marks-verified"), self._log_name)
        self._sign: Sign | None = None
        self._verified: VerifiedBackend | None = None
        self._backend = self._log
        if sign or policy is not None:
            self._look_through(policy, sign=sign, strict=strict)
        storages = [
            load_class(STORAGES["dvc"])(self._repo, home=cache, source=self._url),
            load_class(STORAGES["git"])(self._repo),
        ]
        self._declarations = Declarations(self._repo)
        self._store = Store(cache)
        self._content = ContentReader(
            self._repo,
            self._declarations,
            storages,
            self._store,
            offline=offline,
            signer=self._trusted_signer,
            around=self._around,
            home=cache,
            url=self._url,
            registered=self._registered,
        )
        self._folded: dict[str, Folded] = {}
        self._stages: tuple[Hashable | None, Stages] | None = None
        if self._is_partial:
            warn(
                f"{self.target!r} is a partial clone of its history: events may be missing, and answers may be old; "
                "'git fetch --unshallow --tags' completes it",
                PartialViewWarning,
            )

    def _line(self) -> str:
        return f"Registry({without_secrets(self.target)!r})"

    def _view(self) -> View:
        from modelregistry.registry.portrait import portrait

        return portrait(
            without_secrets(os.fspath(self.target)), self._log, self._fold if self._verified is None else None,
            at_hand=self._repo.at_hand, synced_at=self.synced_at,
        )  # fmt: skip

    def _open_log(self, backend: Backend | str | None) -> Backend:
        """Where the log is kept: in the repository's tags, or elsewhere."""
        if backend is not None and not isinstance(backend, str | Backend):
            raise InvalidInputError(
                f"backend={backend!r}: it must be an address, or what open_backend(…) gave"
            )
        chosen = config.choose_backend(backend, self._names) if not isinstance(backend, Backend) else backend
        if chosen == GIT:
            return self._open_tags()
        log = open_backend(chosen) if isinstance(chosen, str) else chosen
        if not self._push:
            raise InvalidInputError(
                f"push=False stages tags in a clone, and the log is kept at {log.identity!r}"
            )
        if self._offline and log.capabilities.remote:
            raise InvalidInputError(
                f"offline=True, and the log is kept at {log.identity!r}, which needs the network"
            )
        return log

    def _open_tags(self) -> Backend:
        return load_class(BACKENDS[GIT])(  # type: ignore[no-any-return]
            self._repo, self._shared, staged=not self._push, admit=self._admit
        )

    def _names(self) -> list[str]:
        """What this user's configuration may call the registry."""
        remote = GitRemote.named(self._repo, _ORIGIN) if self._url is None else None
        places = [self.target, *map(os.fspath, filter(None, [self._repo.root, self._repo.common_dir]))]
        return [*places, remote.url] if remote is not None else places

    @property
    def _log_name(self) -> str:
        """What tells this log from others."""
        return (self._url or os.fspath(self._repo.common_dir)) if self._in_tags else self._log.identity

    @property
    def _in_tags(self) -> bool:
        return self._log.kind == GIT

    @property
    def _is_partial(self) -> bool:
        """Whether events may be missing here."""
        return self._in_tags and self._repo.is_partial

    def _look_through(self, signers: Signers | None, *, sign: bool, strict: bool) -> None:
        """Sign what is written, and let count what a policy says."""
        from modelregistry.trust.signatures import Signing, Verifier

        signing = Signing(self._repo)
        if sign:
            if not self._log.capabilities.signed:
                raise InvalidInputError(
                    f"sign=True, and the log at {self._log.identity!r} keeps no signatures"
                )
            self._sign = signing.sign
        if signers is None:
            return
        from modelregistry.log.verified import VerifiedBackend

        verifier = Verifier(signing, PrivateFile(home_folder() / "signatures", "is taken for verified"))
        self._backend = self._verified = VerifiedBackend(
            self._log, replace(signers, strict=strict or signers.strict), verifier, self._marks,
            own_key=lambda event: verifier.own_key(render(event)) if sign else None,
        )  # fmt: skip

    @property
    def synced_at(self) -> datetime | None:
        """When the mirror of a URL was last brought up to date; None for a registry opened by its path."""
        return self._mirror.synced_at if self._mirror is not None else None

    @property
    def cache(self) -> Cache:
        """The bytes that this user has fetched, for all registries: to list, verify and prune."""
        from modelregistry.content.cache import Cache

        return Cache(self._store, self._every_version)

    def _every_version(self) -> Iterator[ModelVersion]:
        self._refresh()
        for folded in self._fold_all():
            for name in folded.history.served:
                yield self._version(folded, name)

    def _trusted_signer(self, version: ModelVersion) -> str | None:
        """Who signed the registration, if what they register may run code by this reader's policy."""
        return self._verified.trusted_signer(version.registered) if self._verified is not None else None

    def _signers_of(self, versions: Sequence[ModelVersion]) -> Sequence[str | None]:
        """Who signed the registrations of versions of one model, as far as this reader's policy knows them."""
        if self._verified is None or not versions:
            return [None] * len(versions)
        registered = [version.registered for version in versions]
        found = self._verified.signatures(versions[0].name, registered)
        return [", ".join(found[each.source][1]) if each.source in found else None for each in registered]

    def _read(self, model: str, as_of: datetime | None = None) -> Folded:
        """The model, folded: from memory where nothing changed since."""
        self._refresh()
        return self._fold(model, as_of)

    def _fold(self, model: str, as_of: datetime | None = None) -> Folded:
        """The same, as the log is on this machine."""
        token = self._backend.watch(model)
        known = self._folded.get(model)
        if known is not None and token is not None and known.token == token:
            stages, log = self._read_stages(), known.log
        elif self._stages is not None:  # they seldom change
            stages, log = self._read_stages(), self._backend.read(model)
        else:
            with ThreadPoolExecutor(
                max_workers=1
            ) as pool:  # one git lists the tags while another reads the settings
                reading = pool.submit(self._backend.read, model)
                stages = self._read_stages()
                log = reading.result()
        if known is None or known.log is not log or known.history.stages is not stages:
            known = self._folded[model] = Folded(token, log, History(model, log.events, stages))
        if as_of is None:
            return known
        if not isinstance(as_of, datetime) or as_of.tzinfo is None:
            raise InvalidInputError(
                f"as_of={as_of!r} is no moment with a time zone: datetime(…, tzinfo=UTC), for one"
            )
        if as_of >= datetime.now(UTC):  # events written in quick succession are dated some seconds ahead
            return known
        return Folded(None, known.log, History(model, known.log.events, stages, as_of=as_of))

    def _bring_records(self, versions: Iterable[ModelVersion]) -> None:
        """Have what declares and records the versions, all at once: a mirror has left it out."""
        places = [(version.rev, version.name) for version in versions]
        self._declarations.bring(places)
        if self._mirror is not None:
            files = [f"{rev}:{declaring_file(model).removesuffix('yaml')}lock" for rev, model in places]
            self._repo.read(list(dict.fromkeys(files)), limit=0)

    def _kept_versions(self) -> Iterator[ModelVersion]:
        """Every version, withdrawn ones too, from memory where the log of its model did not move since."""
        for _, versions in self._kept_models():
            yield from versions

    def _kept_models(self) -> Iterator[tuple[History, Sequence[ModelVersion]]]:
        """Every model and its versions, from memory where its log did not move since."""
        self._refresh()
        # Each will be read by itself, too: for its card, say.
        for folded in self._fold_again(is_watched=True):
            yield folded.history, [self._version(folded, name) for name in folded.history.versions]

    def _fold_again(
        self, wanted: Callable[[str], bool] = bool, clue: Clue | None = None, *, is_watched: bool = False
    ) -> list[Folded]:
        """The models by name, folded: from memory where their logs did not move since.

        Args:
            wanted: Which models.
            clue: What the log of a model must hold, or it may be left out.
            is_watched: Ask for tokens as well, so that one model is given from memory, too; in a database each is a
                question of its own.
        """
        stages = self._read_stages()
        known = self._folded
        tokens = (
            {model: self._backend.watch(model) for model, folded in known.items() if folded.token is None}
            if is_watched
            else {}
        )  # before the heads, so that they say no more than those
        heads = {model: head for model, head in self._backend.heads().items() if wanted(model)}
        found: dict[str, Folded] = {}
        for model, head in heads.items():
            folded = known.get(model)
            if folded is not None and folded.log.head == head and folded.history.stages is stages:
                folded.token = tokens.get(model) if folded.token is None else folded.token
                found[model] = folded
        moved = [model for model in heads if model not in found]
        if clue is not None and len(moved) > FEW:
            told = self._backend.candidates(clue)
            moved = [model for model in moved if told is None or model in told]
        tokens = {model: self._backend.watch(model) if is_watched else None for model in moved}
        room = _MOST_IN_MEMORY - sum(len(folded.log.events) for folded in known.values())
        for log in self._backend.read_some(moved):
            folded = Folded(tokens[log.model], log, History(log.model, log.events, stages))
            found[log.model] = folded
            room -= len(log.events)
            if is_watched or room >= 0:
                known[log.model] = folded
        return [found[model] for model in heads if model in found]

    def _fold_all(self) -> Iterator[Folded]:
        """Every model, folded, by one reading of the whole log."""
        stages = self._read_stages()
        return (Folded(None, log, History(log.model, log.events, stages)) for log in self._backend.read_all())

    def _read_stages(self) -> Stages:
        """The team's stages: from memory where nothing changed since."""
        token, settled = self._repo.watch_head()
        if self._stages is not None and settled and self._stages[0] == token:
            return self._stages[1]
        settings = config.read_settings(self._repo)
        settings.check_backend(self._log.kind)
        stages = settings.rules
        if self._stages is not None and self._stages[1] == stages:
            stages = self._stages[1]  # the same object, so that what was folded with it stays good
        self._stages = (token if settled else None, stages)
        return stages

    def _version(self, folded: Folded, name: str) -> ModelVersion:
        found = folded.versions.get(name)
        if found is None:
            history = folded.history
            registered = history.versions[name].registered
            found = folded.versions[name] = ModelVersion(
                name=history.model, version=name, state=history.state(name), stages=history.stages_of(name),
                rev=registered.rev, source_rev=registered.source_rev or registered.rev, digest=registered.digest,
                size=registered.size, created_at=registered.at, author=registered.author, message=registered.message,
                metadata=history.metadata(name), head=folded.log.head, deprecated=history.deprecated is not None,
                registered=registered, _reader=self._content,
            )  # fmt: skip
        return found

    def _around(self, version: ModelVersion) -> Surroundings:
        """What a card says besides the version."""
        from modelregistry.cards.sources import Surroundings

        folded = self._read(version.name)
        history = folded.history
        baseline: str | None = None
        for stage in history.stages.order[-1:]:
            tenure = history.tenure(stage)
            while tenure is not None and (
                tenure.version == version.version or not history.versions[tenure.version].served
            ):
                tenure = tenure.previous
            baseline = tenure.version if tenure is not None else None
        return Surroundings(history.metadata(), self._version(folded, baseline) if baseline else None)

    def _shared(self) -> GitRemote | None:
        """Where the log is shared. Asked for by what writes: a service that only reads has no need to know."""
        if self._mirror is not None:
            return self._mirror.remote
        found = choose_remote(self._repo, self._remote_name, default=_ORIGIN)
        if found is not None:
            found.progress = self._progress
        return found

    @contextmanager
    def _telling(self, progress: Progress) -> Iterator[None]:
        """Somebody else is told of what is fetched; None for who was to be told when it was opened."""
        before = self._progress
        if progress is not None:
            self._progress = progress
        if self._mirror is not None:
            self._mirror.remote.progress = self._progress
        try:
            yield
        finally:
            self._progress = before
            if self._mirror is not None:
                self._mirror.remote.progress = before

    def _refresh(self, *, max_age: float | None = None) -> None:
        """Bring the mirror of a URL up to date, if it is older than that."""
        if self._mirror is not None:
            self._mirror.refresh(self._max_age if max_age is None else max_age)

    @property
    def _hint(self) -> str:
        if self._is_partial:
            return " (this clone is partial: 'git fetch --unshallow --tags' completes it)"
        return ""

    def _change(
        self, model: str, decide: Decide, *, message: str, dry_run: bool, pin: Pin | None = None
    ) -> tuple[Folded, Change]:
        """Write what ``decide`` chooses; returns the model as it is then (or would be), and what was chosen."""
        from modelregistry.log.writing import write

        self._check_writable()
        stages = self._read_stages()
        log, change = write(
            self._backend, check_model(model), stages, decide,
            by=self._repo.identity(), message=message, dry_run=dry_run, pin=pin, sign=self._sign,
        )  # fmt: skip
        if change.events and not dry_run:
            from modelregistry.log import changes

            folded = self._look_again(model, change, fetch=change.relies_on_others or pin is not None)
            changes.confirm(change, folded.history, seen=len(log.events))
            return folded, change
        return Folded(None, log, History(model, [*log.events, *change.events], stages)), change

    def _look_again(self, model: str, change: Change, *, fetch: bool) -> Folded:
        """The model as it is after the change.

        ``fetch`` what came meanwhile, where the change relied on what an event of another slot may have altered.
        """
        from modelregistry.log.writing import FAULTS

        try:
            if fetch:
                self._backend.prepare(model)
            return self._read(model)
        except FAULTS as error:
            event = change.events[-1]
            raise OutcomeUnknownError(
                f"{event.source} is written, and whether another event came before it and changed what it was decided "
                f"on could not be seen: {error}; look again, then decide",
                event_id=event.id, tag=event.source,
            ) from error  # fmt: skip

    def _admit(self, event: Event) -> None:
        """Bytes before words: what was registered in this clone alone is published once others can fetch its bytes."""
        if isinstance(event, Registered) and event.digest is not None:
            path = self._declarations.require(event.rev, event.model, None).path
            try:
                self._content.check_shared(event.rev, path)
            except MissingBytesError as error:
                error.add_note(f"{event.source} waits in this clone to be published")
                raise

    def _check_writable(self) -> None:
        if self._offline:
            raise RemoteError("a write needs the remote, and this registry was opened with offline=True")

    def _registered(self, model: str, version: str) -> Registered | None:
        """The registration of a version, withdrawn ones too."""
        record = self._read(model).history.versions.get(version)
        return record.registered if record is not None else None


def _bring_nothing(oids: Sequence[str]) -> None:
    """What an offline registry does about files that a clone or a mirror left out."""
    raise RemoteError(
        f"offline=True, and {len(oids)} files of the repository that were asked for are not here: "
        "sync() of a registry opened without it brings what the holders of stages need"
    )
