"""Which version a reference names, or why none."""

from __future__ import annotations

from modelregistry.errors import (
    ModelNotFoundError,
    SeveralHoldersError,
    StageEmptyError,
    VersionNotFoundError,
    WithdrawnError,
)
from modelregistry.log.history import History
from modelregistry.names import Reference


def choose(history: History, wanted: Reference, hint: str) -> str:
    """The version that the reference names.

    Args:
        history: The model's.
        wanted: The reference.
        hint: What a message that something is not there ends with.

    Raises:
        ModelNotFoundError: The log is empty.
        VersionNotFoundError: No such version, or none that may be served.
        WithdrawnError: The version was withdrawn.
        StageEmptyError: Nobody holds the stage.
        SeveralHoldersError: A shared stage has several holders.
    """
    check_there(history, hint)
    model = history.model
    if wanted.stage is not None:
        holders = history.holders(wanted.stage)
        if len(holders) > 1:
            raise SeveralHoldersError(
                f"stage {wanted.stage!r} of {model!r} is shared by {', '.join(holders)}: name one of them, or list them "
                f"with versions({model!r}, stage={wanted.stage!r})",
                holders=holders,
            )
        if not holders:
            newest = history.latest
            then = f"the newest is {newest}: registry.promote({model!r}, {newest!r}, {wanted.stage!r})"
            raise StageEmptyError(
                f"no version of {model!r} holds stage {wanted.stage!r}; {then if newest else 'it has no version'}{hint}"
            )
        return holders[0]
    if wanted.version is None:
        if history.latest is None:
            raise VersionNotFoundError(f"{model!r} has no version that may be served{hint}")
        return history.latest
    record = history.versions.get(wanted.version)
    if record is None or record.hidden:
        gone = "was deregistered with GTO" if record else "is not there"
        near = ", ".join(history.served[:5]) or "none"
        raise VersionNotFoundError(f"{model}@{wanted.version} {gone}; there is {near}{hint}")
    if record.withdrawn is not None:
        raise WithdrawnError(
            f"{model}@{wanted.version} was withdrawn on {record.withdrawn.at:%Y-%m-%d} by {record.withdrawn.author}"
            f"{': ' + record.withdrawn.message if record.withdrawn.message else ''}; versions({model!r}, "
            "stage='withdrawn') lists it"
        )
    return wanted.version


def check_there(history: History, hint: str) -> None:
    """Refuse a model that nothing was ever said of.

    Raises:
        ModelNotFoundError: The log is empty.
    """
    if not history.events:
        raise ModelNotFoundError(
            f"no model {history.model!r} in this registry: registry.models() lists what there is{hint}"
        )
