"""Which version a caller means: by a reference, by a model and a version of it, or by a version that was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelregistry.errors import InvalidInputError, InvalidReferenceError
from modelregistry.log.choice import choose
from modelregistry.log.history import Expected, History, Holder
from modelregistry.names import LATEST, Reference, check_model, check_version
from modelregistry.version import ModelVersion

VersionLike = str | ModelVersion
"""What names a version: text, or the version itself as it was read."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What a caller means; nothing was looked up yet."""

    reference: Reference
    given: ModelVersion | None = None
    """The version that was passed: the registry must have that very one."""

    @property
    def model(self) -> str:
        """The model's name."""
        return self.reference.model

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same version whatever the log says."""
        return self.reference.version is not None

    @property
    def pin(self) -> Callable[[History], Sequence[str]] | None:
        """What a change has to meet as it met it first: what ``latest`` or a stage means must not move meanwhile."""
        return None if self.is_fixed else lambda history: [self.find(history)]

    def check(self, history: History) -> None:
        """Refuse a version of another registry.

        Raises:
            InvalidInputError: What was registered here under that name is something else, or nothing.
        """
        if self.given is None:
            return
        record = history.versions.get(self.given.version)
        known = record.registered if record is not None else None
        if known is None or (known.rev, known.digest) != (self.given.rev, self.given.digest):
            raise InvalidInputError(
                f"{self.given!r} was not read from this registry, which has {'another' if known else 'no'} "
                f"{self.given.reference}: registry.get({str(self.reference)!r}) reads the one that is meant here"
            )

    def find(self, history: History, hint: str = "") -> str:
        """The version as the model's log has it now. One that is named outright may not be there, or withdrawn.

        Raises:
            InvalidInputError: It is of another registry.
            NotFoundError: There is no latest version, or nobody holds the stage.
            SeveralHoldersError: A shared stage has several holders.
        """
        self.check(history)
        return self.reference.version or choose(history, self.reference, hint)


def meant(what: object, *, version: object = None, stage: object = None) -> Meant:
    """By a reference or a version, or by the name of a model and one of ``version`` and ``stage``.

    Raises:
        InvalidReferenceError: It names no version, or more than one.
    """
    if version is None and stage is None:
        if isinstance(what, ModelVersion):
            return Meant(Reference(what.name, version=what.version), what)
        return Meant(Reference.parse(what))  # type: ignore[arg-type]
    is_version = isinstance(what, ModelVersion)
    wanted = Reference.parse(what.name if isinstance(what, ModelVersion) else what)  # type: ignore[arg-type]
    if is_version or wanted.version or wanted.stage or (version is not None and stage is not None):
        raise InvalidReferenceError(
            f"{what!r} with version={version!r}, stage={stage!r} names more than one version"
        )
    if isinstance(version, ModelVersion):
        return _of(wanted.model, version)
    return Meant(
        Reference.parse(f"{wanted.model}#{stage}" if stage is not None else f"{wanted.model}@{version}")
    )


def meant_to_change(model: object, version: object, *, whole: bool = False) -> Meant | None:
    """As a verb that writes takes it: a bare name is no version, so that nothing befalls the latest one unsaid.

    Args:
        model: A name; where no version is given, a reference with a version or a stage, or a version.
        version: ``"v1.2.0"``, ``"latest"``, or a version that was read.
        whole: Whether a bare name means the model as a whole, for which None comes back.

    Raises:
        InvalidNameError: A name or a version that is misspelt.
        InvalidReferenceError: It names no version, or more than one.
    """
    if version is None:
        if not isinstance(model, str) or "@" in model or "#" in model or model.startswith("models:/"):
            return meant(model)
        name = check_model(model)
        if whole:
            return None
        raise InvalidReferenceError(
            f"which version of {name!r}? Say version='v…' or version='latest', or '{name}@v…' or '{name}#stage' in place "
            "of the name"
        )
    if isinstance(model, ModelVersion):
        raise InvalidReferenceError(
            f"{model!r} says which version already, and {version!r} comes after it: pass what follows by its name "
            "(stage=, metadata=)"
        )
    name = check_model(model)  # type: ignore[arg-type]
    if isinstance(version, ModelVersion):
        return _of(name, version)
    return Meant(Reference(name, version=None if version == LATEST else check_version(version)))  # type: ignore[arg-type]


def holder_meant(model: str, believed: Expected | ModelVersion, history: History) -> Expected:
    """A holder as a caller names it: a version, in text or as it was read, or one of the words for any and nobody.

    Raises:
        InvalidNameError: No version.
        InvalidInputError: A version of another model, or of another registry.
    """
    if isinstance(believed, Holder):
        return believed
    if isinstance(believed, ModelVersion):
        return _of(model, believed).find(history)
    return check_version(believed)


def _of(model: str, version: ModelVersion) -> Meant:
    if version.name != model:
        raise InvalidReferenceError(f"{version!r} is no version of {model!r}")
    return Meant(Reference(model, version=version.version), version)
