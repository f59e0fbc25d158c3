"""What a team says in a model card: its fields, typed, and the Markdown file or mapping that they are read from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from modelregistry.display.shown import Shown
from modelregistry.errors import InvalidFileError
from modelregistry.project.yamltext import parse, typed

PARTS = (
    "summary", "intended_use", "limits", "training_data", "metrics", "baseline", "usage", "environment", "contact",
    "license", "language",
)  # fmt: skip
"""What a card may lack."""
REQUIRED = ("intended_use", "limits", "training_data", "metrics", "contact", "license")
"""What every card should have, where the team does not say otherwise."""
_Word = Annotated[str, Field(min_length=1, max_length=500)]
_Words = _Word | tuple[_Word, ...]
_Text = Annotated[str, Field(max_length=100_000)]
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*")
_FRONT = re.compile(r"\s*---[ \t]*\n(.*?)(?<=\n)---[ \t]*(?:\n|$)", re.DOTALL)
_TITLES: Mapping[str, str] = {
    "summary": "summary", "description": "summary", "model description": "summary", "model summary": "summary",
    "intended use": "intended_use", "intended uses": "intended_use", "uses": "intended_use",
    "limits": "limits", "limitations": "limits", "bias, risks, and limitations": "limits",
    "training data": "training_data", "contact": "contact", "model card contact": "contact",
    "evaluation": "evaluation", "how to use": "usage", "usage": "usage",
}  # fmt: skip
"""The headings of a card that are the fields of one."""


class CardText(Shown, BaseModel):
    """What a team says of a model or a version: ``metadata["card"]``, or ``meta: {card: …}`` in ``dvc.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    summary: _Text | None = None
    intended_use: _Text | None = None
    limits: _Text | None = None
    training_data: _Text | None = None
    evaluation: _Text | None = None
    usage: _Text | None = None
    contact: _Text | None = None
    text: _Text | None = None
    """What fits nowhere else."""
    license: _Word | None = None
    """Its identifier on Hugging Face, such as ``apache-2.0``."""
    language: _Words | None = None
    library_name: _Word | None = None
    pipeline_tag: _Word | None = None
    """The task, such as ``tabular-classification``."""
    base_model: _Words | None = None
    tags: tuple[_Word, ...] | None = None
    datasets: _Words | None = None
    other: dict[str, JsonValue] = {}
    """What else is to stand in the card's front matter."""

    def over(self, below: CardText) -> CardText:
        """This one, and what it does not say as another one says it."""
        said = {
            name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None
        }
        return below.model_copy(update={**said, "other": {**below.other, **self.other}})


def card_of(value: object, where: str, path: str) -> CardText:
    """The card in a mapping, or in Markdown.

    Args:
        value: What stands there.
        where: What that place is called, for messages.
        path: The file that it is in.

    Raises:
        InvalidFileError: A field is unknown, or of the wrong type.
    """
    if isinstance(value, str):
        return card_in_markdown(value, where, path)
    if not isinstance(value, dict):
        raise InvalidFileError(
            f"{where}: a card is a mapping, Markdown, or a path; not {value!r:.80}", path=path
        )
    return _checked(value, where, path)


def card_in_markdown(text: str, where: str, path: str) -> CardText:
    """The card in a Markdown file with YAML front matter, as Hugging Face has them.

    Sections with the headings of a card are its fields; what stands before the first one is the summary.

    Raises:
        InvalidFileError: A field of the front matter is of the wrong type.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    front = _FRONT.match(text)
    values: dict[str, object] = {}
    if front is not None:
        found = typed(parse(front[1].encode(), path))
        if not isinstance(found, dict | None):
            raise InvalidFileError(f"{where}: its front matter is no mapping", path=path)
        known = CardText.model_fields.keys() - {"other"}
        values = {key: value for key, value in (found or {}).items() if key in known}
        values["other"] = {key: value for key, value in (found or {}).items() if key not in known}
        text = text[front.end() :]
    for field, section in _sections(text).items():
        values.setdefault(field, section)
    return _checked(values, where, path)


def _sections(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    field, fence = "summary", False
    for line in text.split("\n"):
        fence ^= line.startswith("```")
        heading = None if fence else _HEADING.fullmatch(line)
        if heading is not None and len(heading[1]) <= 2:
            known = _TITLES.get(heading[2].strip().lower())
            field = known or ("summary" if len(heading[1]) == 1 else "text")
            if known is None and len(heading[1]) == 2:
                found.setdefault(field, []).append(f"### {heading[2]}")
            continue
        found.setdefault(field, []).append(line)
    texts = {field: "\n".join(lines).strip() for field, lines in found.items()}
    return {field: text for field, text in texts.items() if text}


def _checked(values: Mapping[str, object], where: str, path: str) -> CardText:
    # A list stands for a tuple, as it does in YAML.
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return CardText.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if "-" not in str(part) and "[" not in str(part))
        known = (
            f"; there are {', '.join(CardText.model_fields)}" if first["type"] == "extra_forbidden" else ""
        )
        told = "no field of a card" if known else first["msg"]
        raise InvalidFileError(
            f"{where}: the card's {place!r} is {first['input']!r:.80}: {told}{known}", path=path
        ) from error
