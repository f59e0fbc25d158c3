"""What a reference that somebody has begun to write can go on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from modelregistry.log.history import History
from modelregistry.names import LATEST, version_key


def references(begun: str, models: Iterable[str], history: Callable[[str], History]) -> Sequence[str]:
    """The references that begin so: models; after ``@`` the versions of one; after ``#`` the stages that are held.

    Args:
        begun: What is written so far.
        models: The names of all models.
        history: Gives the log of one.
    """
    for sign in "@#":
        model, found, rest = begun.partition(sign)
        if found:
            if model not in set(models):
                return ()
            names = versions(history(model)) if sign == "@" else held(history(model))
            return [f"{model}{sign}{name}" for name in names if name.startswith(rest)]
    return sorted(model for model in models if model.startswith(begun))


def versions(history: History) -> Sequence[str]:
    """The versions that may be named, the greatest first."""
    served = sorted(history.served, key=version_key, reverse=True)
    return [*served, LATEST] if served else []


def held(history: History) -> Sequence[str]:
    """The stages that somebody holds, the highest first."""
    return history.stages.sorted(stage for stage in history.stages_used if history.holders(stage))
