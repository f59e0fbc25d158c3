"""The tree of everything that can go wrong.

Every error this library raises on purpose is one of these::

    RegistryError
    ├── InvalidInputError (ValueError)        what the caller passed can't be right
    │   ├── InvalidNameError                  a model, version or stage that is misspelt
    │   ├── InvalidReferenceError             a string that names no version
    │   ├── QueryError                        a search expression that can't be read
    │   └── InvalidSettingsError              .modelregistry.toml or .gto
    ├── NotFoundError (LookupError)           it is well formed, and not there
    │   ├── RepositoryNotFoundError           no Git repository, or an empty one
    │   ├── RevisionNotFoundError             no such commit
    │   ├── ModelNotFoundError
    │   ├── VersionNotFoundError
    │   ├── StageEmptyError                   no version holds the stage
    │   └── PathNotFoundError                 no such file in the commit
    ├── RefusedError                          the rules of the registry forbid the write
    │   ├── AccessDeniedError (PermissionError) the remote does not let this user push
    │   ├── VersionExistsError
    │   ├── WithdrawnError                    the version has a tombstone
    │   └── NotDeclaredError                  dvc.yaml does not declare the artifact
    ├── ConflictError                         the log moved between the decision and the write
    ├── PartlyRegisteredError                 of several versions, some are registered and some are not
    ├── OutcomeUnknownError                   the connection broke: it may be written; a later call settles it
    ├── UnreachableError (ConnectionError)    where the log is kept can't be reached; nothing was written
    ├── DatabaseError                         the database that keeps the log said no
    │   └── SchemaError                       its tables are missing, older or newer: migrate(…)
    ├── SignatureError                        events fail this reader's policy, which is strict
    ├── RewoundError                          events that this user has seen are gone from the log
    ├── SeveralHoldersError                   a shared stage was asked for its one holder
    ├── WorkingCopyError                      the verb needs files, and this is a bare repository
    ├── InvalidFileError                      dvc.yaml, dvc.lock or a *.dvc file that can't be read
    ├── MissingBytesError                     neither in the cache nor in the remote
    ├── CacheError (OSError)                  the folder for fetched bytes is full, or can't be written
    ├── IntegrityError                        the bytes are not the registered bytes
    ├── UntrustedModelError                   loading would run code nobody here vouched for
    ├── UnknownFormatError                    no loader recognises the file
    ├── ConversionError                       the model can't be written in that format, or answers otherwise in it
    ├── ExportError (OSError)                 the target of an export can't be written or read, or the model laid out so
    ├── MissingDependencyError (ImportError)  an optional package is not installed
    └── GitError                              git said no, or could not be run
        ├── GitTimeoutError (TimeoutError)
        └── RemoteError (UnreachableError)    the remote can't be reached; nothing was written

    RegistryWarning (UserWarning)
    ├── UncountedEventWarning                 events fail this reader's policy; they count for nothing
    ├── PartialViewWarning                    a clone or mirror that may lack events
    ├── EnvironmentMismatchWarning            the model was made with other versions than are here
    └── DeprecatedModelWarning
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime


class RegistryError(Exception):
    """The root: catch this to catch everything this library raises on purpose."""


class InvalidInputError(RegistryError, ValueError):
    """What the caller passed can't be right, whatever the registry holds."""


class InvalidNameError(InvalidInputError):
    """A model name, version or stage that Git or GTO would refuse."""


class InvalidReferenceError(InvalidInputError):
    """A reference that names no version, such as ``churn@`` or ``a#b#c``."""


class QueryError(InvalidInputError):
    """A search expression, or a key to sort by, that can't be read; the message marks the character.

    Attributes:
        query: The expression.
        position: The character that is wrong, counted from 0.
    """

    def __init__(self, message: str, *, query: str, position: int) -> None:
        super().__init__(message)
        self.query = query
        self.position = position


class InvalidSettingsError(InvalidInputError):
    """Settings in ``.modelregistry.toml`` or ``.gto`` that can't be read."""


class NotFoundError(RegistryError, LookupError):
    """Well formed, and not there."""


class RepositoryNotFoundError(NotFoundError):
    """No Git repository there, or one without a commit."""


class RevisionNotFoundError(NotFoundError):
    """No such commit."""


class ModelNotFoundError(NotFoundError):
    """No such model."""


class VersionNotFoundError(NotFoundError):
    """The model has no such version."""


class StageEmptyError(NotFoundError):
    """No version of the model holds the stage."""


class PathNotFoundError(NotFoundError):
    """No such file or DVC output in the commit."""


class RefusedError(RegistryError):
    """The rules of the registry forbid this write; nothing was written."""


class AccessDeniedError(RefusedError, PermissionError):
    """The remote, or the database, does not let this user in, or write there; nothing was written."""


class VersionExistsError(RefusedError):
    """The version is registered already, with other bytes or at another commit."""


class WithdrawnError(RefusedError):
    """The version was withdrawn: it is never served or promoted again."""


class NotDeclaredError(RefusedError):
    """``dvc.yaml`` has no entry, or another one, for the artifact.

    Attributes:
        entry: The text to paste into ``dvc.yaml``.
    """

    def __init__(self, message: str, *, entry: str) -> None:
        super().__init__(message)
        self.entry = entry


class ConflictError(RegistryError):
    """The log moved between the decision and the write; nothing was written.

    Attributes:
        believed: What the writer believed, in words or as a version.
        found: What is there instead.
        by: Who wrote it, if known.
        at: When it was written, if known.
    """

    def __init__(
        self,
        message: str,
        *,
        believed: str | None = None,
        found: str | None = None,
        by: str | None = None,
        at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.believed = believed
        self.found = found
        self.by = by
        self.at = at


class PartlyRegisteredError(RegistryError):
    """Several models were committed together, and some of them could not be registered; calling again finishes.

    Attributes:
        registered: The models that are registered.
        failed: The models that are not.
    """

    def __init__(self, message: str, *, registered: Sequence[str], failed: Sequence[str]) -> None:
        super().__init__(message)
        self.registered = tuple(registered)
        self.failed = tuple(failed)


class UnreachableError(RegistryError, ConnectionError):
    """Where the log is kept can't be reached; nothing was written."""


class DatabaseError(RegistryError):
    """The database that keeps the log said no; nothing was written."""


class SchemaError(DatabaseError):
    """The database has no tables for a log, or those of an older or newer version."""


class OutcomeUnknownError(RegistryError):
    """The connection broke, and nobody can tell whether the event is in the shared log.

    The next write to the model, or ``sync()``, settles it: the event is published then, unless another took its place.

    Attributes:
        event_id: The event.
        tag: The tag that keeps it.
    """

    def __init__(self, message: str, *, event_id: str, tag: str) -> None:
        super().__init__(message)
        self.event_id = event_id
        self.tag = tag


class SignatureError(RegistryError):
    """Events fail this reader's policy of signatures, and the policy is strict.

    Attributes:
        tags: The events, by the tags that keep them.
    """

    def __init__(self, message: str, *, tags: Sequence[str]) -> None:
        super().__init__(message)
        self.tags = tuple(tags)


class RewoundError(RegistryError):
    """Events that this user has seen, and that counted, are gone from the log: who reads it as it is may be misled.

    Attributes:
        tags: The events, by the tags that kept them.
    """

    def __init__(self, message: str, *, tags: Sequence[str]) -> None:
        super().__init__(message)
        self.tags = tuple(tags)


class SeveralHoldersError(RegistryError):
    """A shared stage was asked for its one holder, and has several.

    Attributes:
        holders: The versions that hold the stage.
    """

    def __init__(self, message: str, *, holders: Sequence[str]) -> None:
        super().__init__(message)
        self.holders = tuple(holders)


class WorkingCopyError(RegistryError):
    """The verb needs a working copy, and this repository has none that fits."""


class InvalidFileError(RegistryError):
    """A file of the project that can't be read as what it claims to be.

    Attributes:
        path: The file, relative to the repository.
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class MissingBytesError(RegistryError):
    """The bytes are neither in the cache nor in the remote.

    Attributes:
        paths: The files whose bytes are missing.
    """

    def __init__(self, message: str, *, paths: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


class CacheError(RegistryError, OSError):
    """The folder in which fetched bytes are kept is full, or can't be written."""


class IntegrityError(RegistryError):
    """The bytes are not the registered bytes; nothing was parsed.

    Attributes:
        path: The file that was checked.
        expected: The recorded digest, algorithm first.
        found: The digest of what is there, algorithm first.
    """

    def __init__(self, message: str, *, path: str, expected: str, found: str) -> None:
        super().__init__(message)
        self.path = path
        self.expected = expected
        self.found = found


class UntrustedModelError(RegistryError):
    """Loading, or a command that comes from the repository, would run code that nobody here vouched for; nothing was run.

    Attributes:
        names: The names (``module.qualname``) that stood in the way.
        digest: The digest of the bytes.
        tier: The tier that loading needs: ``"named"`` or ``"code"``.
        remedies: Lines to paste, best first.
    """

    def __init__(
        self,
        message: str,
        *,
        names: Sequence[str],
        digest: str,
        tier: str,
        remedies: Sequence[str],
    ) -> None:
        super().__init__(message)
        self.names = tuple(names)
        self.digest = digest
        self.tier = tier
        self.remedies = tuple(remedies)


class UnknownFormatError(RegistryError):
    """No loader recognises the file."""


class ConversionError(RegistryError):
    """The model can't be written in that format, or what was written answers otherwise; nothing was left behind."""


class ExportError(RegistryError, OSError):
    """The target of an export can't be read or written, or the version can't be laid out in that format."""


class MissingDependencyError(RegistryError, ImportError):
    """An optional package is not installed; the message has the pip command."""


class GitError(RegistryError):
    """Git said no, or could not be run.

    Attributes:
        arguments: The arguments git was called with, secrets removed.
        stdout: The start of what git printed, if it failed after that.
        stderr: What git complained of.
        status: Its exit code, if it ran.
    """

    def __init__(
        self,
        message: str,
        *,
        arguments: Sequence[str] = (),
        stdout: str = "",
        stderr: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.arguments = tuple(arguments)
        self.stdout = stdout
        self.stderr = stderr
        self.status = status


class GitTimeoutError(GitError, TimeoutError):
    """Git did not answer in time and was ended."""


class RemoteError(GitError, UnreachableError):
    """The remote can't be reached; nothing was written."""


class RegistryWarning(UserWarning):
    """The root of what this library warns about."""


class PartialViewWarning(RegistryWarning):
    """A clone that is shallow or has no tags, or a mirror that can't be fetched anew: events may be missing."""


class UncountedEventWarning(RegistryWarning):
    """Events fail this reader's policy of signatures: they count for nothing."""


class EnvironmentMismatchWarning(RegistryWarning):
    """The model was made with other versions of Python or its libraries than are here."""


class DeprecatedModelWarning(RegistryWarning):
    """The model is deprecated; it still loads."""


@contextmanager
def naming(registry: str) -> Iterator[None]:
    """An error inside says which of several registries it is about, unless it is about what was asked of all of them."""
    try:
        yield
    except RegistryError as error:
        if isinstance(error, InvalidSettingsError) or not isinstance(error, InvalidInputError):
            error.args = (f"{error} (in the registry {registry!r})",)
        raise
