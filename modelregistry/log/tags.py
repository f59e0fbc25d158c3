"""The codec between an event and an annotated Git tag, in GTO's grammar.

One event is one tag. Its name is what GTO and DVC read: ``churn@v1.3.0`` registers, ``churn@v1.3.0!#2`` withdraws,
``churn#current#7`` assigns, ``churn#current!#8`` unassigns, ``churn@deprecated`` deprecates; ``churn@annotate#3`` is
outside their grammar on purpose. Its message is for people: a subject, the author's words, and last one line
``Model-Registry: {json}`` with what the name can't say. The grammar and the meaning of tags without that line are
those of GTO 1.10 (gto/constants.py, gto/tag.py). Parsing is total: a tag is an event, quarantined, or not ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema, from_json

from modelregistry.errors import InvalidInputError
from modelregistry.log.events import (
    SCHEMA,
    Annotated,
    Assigned,
    Deprecated,
    Deregistered,
    Event,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.names import FOLDER, NAME, VERSION

MOST_TRAILER_BYTES = 64 * 1024
MOST_TAG_BYTES = 1 << 20
MOST_MESSAGE_CHARACTERS = 1 << 17
_EventType = TypeVar("_EventType", bound=Event)
_LONGEST_VERSION = 250  # what a file system takes for a name; Python refuses to read numbers of 5,000 digits
_TRAILER = "Model-Registry: "
_NAME = re.compile(
    rf"((?:{FOLDER}=)?{NAME})"
    rf"(?:#({NAME})(!)?|@({VERSION})(!)?|@(deprecated|created|annotate))(?:#([0-9]{{1,4000}}))?"
)
_HEADER = re.compile(
    r"object ([0-9a-f]{40,64})\ntype commit\ntag ([^\n]*)\ntagger ([^\n<]*?) ?<([^\n>]*)> (-?[0-9]+)[^\n]*\n(?:[^\n]+\n)*\n?"
)
# What the tag itself says is not repeated in the trailer.
_IN_TAG = {"model", "at", "author", "email", "message", "rev", "number", "source"}


# Tuples, not dataclasses: a registry of 10,000 events makes as many of each at every full read.
class RawTag(NamedTuple):
    """A reference below ``refs/tags/`` and the object it names, unparsed."""

    name: str
    oid: str
    kind: str
    """Git's type of the object: a ``tag``, or what a lightweight tag names."""
    data: bytes | None
    """The object; None where it is not a tag, is missing, or is larger than ``MOST_TAG_BYTES``."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A tag that looks like an event and can't be one; it counts for nothing but its number."""

    model: str
    name: str
    reason: str
    slot: str
    number: int


class TagName(NamedTuple):
    """A tag's name, taken apart: the groups of the pattern, and what they mean."""

    prefix: str
    stage: str | None
    unassigns: str | None
    version: str | None
    deregisters: str | None
    word: str | None
    digits: str | None

    @property
    def model(self) -> str:
        """The model, as people spell it."""
        return self.prefix.replace("=", ":")

    @property
    def number(self) -> int:
        """Its number in its slot; 0 where it has none."""
        return int(self.digits) if self.digits else 0

    @property
    def slot(self) -> str:
        """What one compare-and-swap guards."""
        if self.stage is not None:
            return f"#{self.stage}{self.unassigns or ''}"
        return f"@{self.version or self.word}{self.deregisters or ''}"


def tag_prefix(model: str) -> str:
    """What every tag of the model starts with, before ``@`` or ``#``: Git forbids the colon."""
    return model.replace(":", "=")


def parse_name(name: str) -> TagName | None:
    """The name taken apart; None if it is none of ours."""
    match = _NAME.fullmatch(name)
    return TagName._make(match.groups()) if match is not None else None


def tag_name(event: Event) -> str:
    """The name of the tag that keeps the event."""
    return f"{tag_prefix(event.model)}{event.slot}" + (f"#{event.number}" if event.number else "")


def numbered(event: _EventType, number: int) -> _EventType:
    """The event at that position of its slot."""
    event = event.model_copy(update={"number": number})
    return event.model_copy(update={"source": tag_name(event)})


def first_number(slot: str) -> int:
    """The number of a slot's first event: GTO writes registrations and deprecations without one (0)."""
    return 0 if slot == "@deprecated" or (slot.startswith("@v") and not slot.endswith("!")) else 1


def render(event: Event) -> bytes:
    """The tag object that keeps the event, as ``git mktag`` takes it.

    Raises:
        InvalidInputError: The message can't be in a tag, or the metadata is larger than 64 KiB.
    """
    trailer = _trailer_of(event)
    if len(trailer) > MOST_TRAILER_BYTES:
        raise InvalidInputError(
            f"the metadata of one event is {len(trailer):,} bytes as JSON; {MOST_TRAILER_BYTES:,} is the most: "
            "keep large things as files in the project"
        )
    words = clean_message(event.message)
    text = subject(event) + "\n\n" + (f"{words}\n\n" if words else "") + _TRAILER + trailer + "\n"
    seconds = int(event.at.timestamp())
    header = f"object {event.rev}\ntype commit\ntag {tag_name(event)}\n"
    tagger = f"tagger {clean_person(event.author)} <{clean_person(event.email)}> {seconds} {_zone(event)}\n\n"
    return (header + tagger + text).encode()


def fits(event: Event) -> bool:
    """Whether a tag has room for what the event says.

    Raises:
        InvalidInputError: It has metadata that JSON can't hold.
    """
    return len(_trailer_of(event)) <= MOST_TRAILER_BYTES


def _trailer_of(event: Event) -> str:
    facts = {
        key: value
        for key, value in event.model_dump(mode="json", exclude_defaults=True).items()
        if key not in _IN_TAG
    }  # fmt: skip
    facts["kind"] = event.kind
    try:
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise InvalidInputError(f"metadata that JSON can't hold: {error}") from error


def is_signed(text: bytes) -> bool:
    """Whether a tag object has a signature, good or not."""
    return b"\n-----BEGIN " in text


def name_in(text: bytes) -> str:
    """The name that a tag object says it has."""
    return text.split(b"\n", 3)[2].removeprefix(b"tag ").decode("utf-8", "surrogateescape")


def clean_message(message: str) -> str:
    """The author's words as a tag keeps them.

    Raises:
        InvalidInputError: They are no text, hold a NUL, or what can't be UTF-8, or are too long.
    """
    if not isinstance(message, str):
        raise InvalidInputError(f"message={message!r} must be a text")
    words = message.strip()
    if len(words) > MOST_MESSAGE_CHARACTERS:
        raise InvalidInputError(
            f"a message of {len(words):,} characters; {MOST_MESSAGE_CHARACTERS:,} is the most: keep long texts as "
            "files in the project"
        )
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"a message that can't be written as UTF-8: {message!r}") from error
    if "\0" in words or "-----BEGIN " in words:
        raise InvalidInputError(
            "a message can't hold a NUL character or the start of a signature ('-----BEGIN ')"
        )
    return words


def subject(event: Event) -> str:
    """One line that says what happened."""
    match event:
        case Registered():
            return f"Register {event.model} {event.version}"
        case Withdrawn():
            return f"Withdraw {event.model} {event.version}"
        case Deregistered():
            return f"Deregister {event.model} {event.version}"
        case Assigned(restores=None):
            return f"Assign stage {event.stage} to {event.model} {event.version}"
        case Assigned():
            return f"Roll back stage {event.stage} of {event.model} to {event.version}"
        case Unassigned(empties=True):
            return f"Empty stage {event.stage} of {event.model}: {event.version} leaves it"
        case Unassigned():
            return f"Unassign stage {event.stage} from {event.model} {event.version}"
        case Annotated(version=None):
            return f"Annotate {event.model}"
        case Annotated():
            return f"Annotate {event.model} {event.version}"
        case _:
            return f"Deprecate {event.model}"


def parse(raw: RawTag) -> Event | Quarantined | None:
    """The event that the tag keeps; quarantined if it only looks like one; None if its name is none of ours."""
    name = parse_name(raw.name)
    if name is None:
        return None
    try:
        return _parse(raw, name)
    except _OddError as error:
        return Quarantined(name.model, raw.name, str(error), name.slot, name.number)


def outline(tag: str, name: TagName, data: bytes) -> tuple[Event, ...] | None:
    """What a fold needs of a tag object, in half the time of ``parse``: the event in outline; of an echo, nothing.

    It knows one form, the one that ``render`` writes: the same header, and the same fields of the event with nothing to
    convert. None for all else that a tag may be, or that may be wrong with it: ``parse`` can tell.
    """
    text = data.decode("utf-8", "replace")
    signature = text.find("\n-----BEGIN ")
    if signature >= 0:
        text = text[: signature + 1]
    last = text.rfind("\n", 0, -1) + 1
    if not (text.startswith(_TRAILER, last) and text.endswith("}\n") and "\n\n" in text):
        return None
    trailer = text[last + len(_TRAILER) : -1]
    if _is_echo(trailer):
        return ()  # or no event at all: a fold passes it by either way
    # No JSON, but pydantic reads it. (To look for one letter first takes a tenth of the time.)
    if ("N" in trailer and "NaN" in trailer) or ("I" in trailer and "Infinity" in trailer):
        return None
    header = _HEADER.match(text)
    if header is None or header[2] != tag or name.word == "created" or len(trailer) > MOST_TRAILER_BYTES:
        return None
    kind = _kind(name, written_by_us=True)
    try:
        facts = _trailer(kind).validate_json(trailer, strict=True)
        facts["at"] = datetime.fromtimestamp(int(header[5]), UTC)
    except (ValueError, OverflowError, OSError):  # the last two: of the time
        return None
    if name.version is not None:
        if facts["version"] != name.version or len(name.version) > _LONGEST_VERSION:
            return None
    elif name.stage is not None and facts["stage"] != name.stage:
        return None
    if name.stage is None and facts["echo_of"] is not None:
        return None
    facts["rev"] = header[1]
    facts["number"] = int(name.digits or 0)
    facts["source"] = tag
    return (kind.outline(facts),)


def _is_echo(trailer: str) -> bool:
    """Whether the trailer, if it is a valid one, is that of an echo."""
    return trailer.startswith('{"echo_of":"') and trailer.count('"echo_of"') == 1 and "\\" not in trailer


@cache
def _trailer(kind: type[Event]) -> SchemaValidator:
    """Reads the trailer of that kind of event, by the fields of the event, less those that the tag itself says."""
    fields = {}
    shared: dict[Any, Any] = {}  # what several fields refer to, which may stand once only
    for name in kind.model_fields.keys() - _IN_TAG:
        field = kind.model_fields[name]
        annotation: Any = field.annotation
        schema = TypeAdapter(annotation).core_schema
        if schema["type"] == "definitions":
            shared |= {each["ref"]: each for each in schema["definitions"]}
            schema = schema["schema"]
        must = name == "kind" or field.is_required()
        if not must and field.default_factory is None:
            schema = core_schema.with_default_schema(schema, default=field.default)
        fields[name] = core_schema.typed_dict_field(schema, required=must)
    fields["schema_version"] = core_schema.typed_dict_field(core_schema.int_schema(ge=1, le=SCHEMA))
    return SchemaValidator(
        core_schema.definitions_schema(core_schema.typed_dict_schema(fields), list(shared.values()))
    )


class _OddError(Exception):
    """Why a tag is no event."""


def _parse(raw: RawTag, name: TagName) -> Event:
    if name.word == "created":
        raise _OddError("GTO's grammar has it, and every GTO command fails on it")
    if name.version is not None and len(name.version) > _LONGEST_VERSION:
        raise _OddError(f"a version of {len(name.version):,} characters")
    if raw.kind != "tag":
        raise _OddError(f"a lightweight tag (of a {raw.kind}) has no author, time or message")
    if raw.data is None:
        raise _OddError(f"the tag object is missing, or larger than {MOST_TAG_BYTES:,} bytes")
    text = raw.data.decode("utf-8", "replace")
    header = _HEADER.match(text)
    if header is None:
        raise _OddError(_oddity(text))
    rev, tag, author, email, seconds = header.groups()
    if tag != raw.name:
        raise _OddError(f"the tag object says its name is {tag!r}")
    try:
        at = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _OddError(f"its time can't be read: {seconds[:40]!r}") from error
    message, trailer = _split(text[header.end() :])
    values: dict[str, Any] = {"id": f"git:{raw.oid}"} if trailer is None else _facts(trailer)
    kind = _kind(name, written_by_us=trailer is not None)
    if trailer is not None and values.get("kind") != kind.kind_name:
        raise _OddError(f"its trailer says {values.get('kind')!r}, its name something else")
    if name.version is not None:
        if values.setdefault("version", name.version) != name.version:
            raise _OddError("its trailer names another version than its name")
    elif name.stage is not None and values.setdefault("stage", name.stage) != name.stage:
        raise _OddError("its trailer names another stage than its name")
    values["model"] = name.model
    values["at"] = at
    values["author"] = author
    values["email"] = email
    values["message"] = message
    values["rev"] = rev
    values["number"] = name.number
    values["source"] = raw.name
    try:
        event = kind.from_values(values)
    except (ValidationError, RecursionError) as error:
        raise _OddError("its trailer does not hold what an event needs") from error
    # An echo needs no signature, so it must change nothing.
    if event.echo_of is not None and name.stage is None and kind is not Deprecated:
        raise _OddError("only a tag of a stage, or of a deprecation, can repeat a change for GTO")
    return event


def _kind(name: TagName, *, written_by_us: bool) -> type[Event]:
    if name.stage is not None:
        return Unassigned if name.unassigns else Assigned
    if name.version is not None:
        if name.deregisters:
            return Withdrawn if written_by_us else Deregistered
        return Registered
    if name.word == "deprecated":
        return Deprecated
    if not written_by_us:
        raise _OddError("an annotation without its trailer says nothing")
    return Annotated


def _facts(trailer: str) -> dict[str, Any]:
    if len(trailer) > MOST_TRAILER_BYTES:
        raise _OddError(f"its trailer is larger than {MOST_TRAILER_BYTES:,} bytes")
    try:
        values = from_json(trailer, allow_inf_nan=False)
    except ValueError as error:
        raise _OddError("its trailer is not JSON") from error
    if not isinstance(values, dict):
        raise _OddError("its trailer is not a JSON object")
    schema = values.get("schema_version")
    if not isinstance(schema, int) or schema < 1:
        raise _OddError("its trailer has no schema version")
    if schema > SCHEMA:
        raise _OddError(f"a newer modelregistry wrote it (schema {schema}, this one knows {SCHEMA}): upgrade")
    return values


def _split(text: str) -> tuple[str, str | None]:
    """The author's words and the JSON of the trailer; None where there is no trailer."""
    if "-----BEGIN " in text:
        text = text[: max(text.find("\n-----BEGIN ") + 1, 0)] or text
    text = text.strip("\n")
    last = text.rfind("\n") + 1
    if not text.startswith(_TRAILER, last):
        return text.strip(), None
    return text[:last].partition("\n\n")[2].strip(), text[last + len(_TRAILER) :]


def _oddity(text: str) -> str:
    """Why the text is not a tag object that an event can be."""
    lines = text.partition("\n\n")[0].split("\n")
    if not lines[0].startswith("object ") or len(lines) < 3 or not lines[1].startswith("type "):
        return "not a well-formed tag object"
    if lines[1] != "type commit":
        return f"it points at a {lines[1][5:]}, not at a commit"
    if len(lines) < 4 or not lines[3].startswith("tagger "):
        return "it has no tagger, so nobody knows who wrote it, or when"
    return f"its time can't be read: {lines[3].rpartition('> ')[2][:40]!r}"


def _zone(event: Event) -> str:
    offset = event.written_at.utcoffset() if event.written_at else None
    minutes = int((offset or timedelta()) / timedelta(minutes=1))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def clean_person(text: str) -> str:
    """A name or e-mail address without what would end it in a tag's header."""
    return "".join(
        character for character in text if character.isprintable() and character not in "<>"
    ).strip()
