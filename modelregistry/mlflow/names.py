"""How MLflow's names and numbers are spelt here: models, versions, and aliases that are stages."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelregistry.errors import InvalidNameError, ModelNotFoundError
from modelregistry.log.history import Stages
from modelregistry.names import check_model, check_stage

DEFAULT_LABELS: Mapping[str, str] = {
    "champion": "current",
    "current": "current",
    "Production": "current",
    "challenger": "shadow",
    "shadow": "shadow",
    "Staging": "shadow",
}
"""The stage that an alias, or a stage of MLflow's old kind, is here; of two for one stage the first counts."""
_ODD = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Names:
    """What the models are called here."""

    chosen: Mapping[str, str] = field(default_factory=dict)
    """By their names there."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why the others have none."""


def version_name(number: int) -> str:
    """``v3.0.0`` for MLflow's version 3: the number that people know leads, and later patches have room."""
    return f"v{number}.0.0"


def spelt(name: str) -> str | None:
    """The name in the letters that a model may have here; None where it has none of them."""
    plain = "".join(
        character for character in unicodedata.normalize("NFKD", name) if not unicodedata.combining(character)
    )
    return _ODD.sub("-", plain).strip("-_")[:_LONGEST].rstrip("-_") or None


def choose_names(names: Sequence[str], given: Mapping[str, str]) -> Names:
    """A name for each model; two that would have the same have none, unless it is the very name of one.

    Args:
        names: The names there.
        given: What some of them are to be called.

    Raises:
        InvalidNameError: A given name can't be one.
        ModelNotFoundError: A given name is for a model that is not there.
    """
    for name, wish in given.items():
        check_model(wish)
        if name not in names:
            raise ModelNotFoundError(f"names= has {name!r}, and MLflow has no such model: {_some(names)}")
    wanted = {name: given.get(name) or spelt(name) for name in names}
    claims = Counter(target for target in wanted.values() if target is not None)
    chosen: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, target in wanted.items():
        if target is None:
            refused[name] = f"no letter of it can be in a name here: names={{{name!r}: …}} gives it one"
        elif claims[target] > 1 and not (name == target and target not in given.values()):
            others = ", ".join(repr(other) for other in names if other != name and wanted[other] == target)
            refused[name] = f"{others} would be {target!r} too: names={{{name!r}: …}} tells them apart"
        else:
            chosen[name] = target
    return Names(chosen, refused)


def check_labels(labels: Mapping[str, str | None], stages: Stages) -> None:
    """Refuse a mapping to what is no stage of the registry.

    Raises:
        InvalidNameError: A stage is misspelt, or the team has no such stage.
    """
    for label, stage in labels.items():
        if stage is not None and check_stage(stage) not in stages.order:
            raise InvalidNameError(
                f"stages= has {label!r}: {stage!r}, which is no stage of this registry; its stages are "
                f"{', '.join(stages.order) or 'none'}: add it to [stages] in .modelregistry.toml and commit that"
            )


def stage_for(label: str, labels: Mapping[str, str | None], stages: Stages) -> str | None:
    """The stage that an alias or an old stage is here; None where it is none."""
    if label in labels:
        return labels[label]
    if stages.written_down and label in stages.order:  # the team's own word
        return label
    stage = DEFAULT_LABELS.get(label)
    return stage if stage in stages.order else None


def label_order(labels: Mapping[str, str | None]) -> Mapping[str, int]:
    """Which of two labels for one stage counts: the caller's, in their order, then the known ones."""
    return {label: place for place, label in enumerate(dict.fromkeys([*labels, *DEFAULT_LABELS]))}


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - 10} more" if len(ordered) > 10 else ""
    return f"it has {', '.join(map(repr, ordered[:10])) or 'none'}{more}"
