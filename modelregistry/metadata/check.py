"""Whether metadata is what this library and the team want it to be: asked before it is written, and by ``check()``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from modelregistry.cards.text import card_of
from modelregistry.config import SETTINGS_FILE, read_head
from modelregistry.errors import (
    InvalidFileError,
    InvalidInputError,
    InvalidSettingsError,
    PathNotFoundError,
    RegistryError,
)
from modelregistry.git.repo import GitRepo
from modelregistry.log.checks import Problem
from modelregistry.metadata.evaluation import Evaluation
from modelregistry.metadata.schema import (
    MOST_BYTES,
    MetadataSchema,
    Misfit,
    Schema,
    check_model,
    model_misfits,
)
from modelregistry.metadata.signature import ModelSignature
from modelregistry.metadata.usage import MOST_EXAMPLE_BYTES, Usage, example_flaws
from modelregistry.names import check_path

_SECONDS_FOR_ALL = 120
_SHOWN = 5
_BLOCKS: Mapping[str, type[BaseModel]] = {"usage": Usage, "evaluation": Evaluation}

Metadata = Mapping[str, JsonValue]
Bring = Callable[[str], Path]
"""Gives the verified bytes of a path of the version's commit."""


@dataclass(frozen=True, slots=True)
class MetadataCheck:
    """What is wanted of the metadata of versions and of models."""

    version: MetadataSchema | None = None
    model: MetadataSchema | None = None
    schema: Schema | None = None
    """What the caller passed."""

    @classmethod
    def of(cls, repo: GitRepo, schema: object = None) -> MetadataCheck:
        """What the team wrote down at the head of the default branch, and what the caller wants besides.

        Raises:
            InvalidSettingsError: A schema that is named can't be used.
            InvalidInputError: ``schema`` is no pydantic model.
        """
        passed = check_model(schema)
        rev, settings = read_head(repo)
        schemas = [
            _schema(repo, rev, path) if path is not None else None
            for path in (settings.metadata.version, settings.metadata.model)
        ]
        return cls(schemas[0], schemas[1], passed)

    @property
    def asks(self) -> bool:
        """Whether there is a schema for versions."""
        return self.version is not None or self.schema is not None

    def refuse(
        self, what: str, said: Metadata, *, before: Metadata | None, version: bool, bring: Bring | None = None
    ) -> None:
        """Refuse metadata that does not fit. What did not fit before, and is left as it was, is no reason.

        Args:
            what: What it is the metadata of, for messages.
            said: What is to be attached; None takes a key away.
            before: What is there; None where nothing is said yet.
            version: Whether it is about a version, and not about a model as a whole.
            bring: Gives an example of the input, where a version has one.

        Raises:
            InvalidInputError: It does not fit; the message names each field.
            InvalidSettingsError: The schema can't be used.
            PathNotFoundError: The commit does not have the example.
            MissingBytesError: The bytes of the example are nowhere to be had.
        """
        after = {key: value for key, value in {**(before or {}), **said}.items() if value is not None}
        by_place: list[tuple[str | None, Misfit]] = [(None, misfit) for misfit in _block_misfits(said)]
        schema = self.version if version else self.model
        if schema is not None:
            now, *then = schema.misfits([after] if before is None else [after, before])
            by_place += [(schema.path, misfit) for misfit in now if all(misfit not in each for each in then)]
        if self.schema is not None:
            known = model_misfits(self.schema, before) if before is not None else ()
            now = model_misfits(self.schema, after)
            by_place += [(self.schema.__name__, misfit) for misfit in now if misfit not in known]
        if by_place:
            told = [f"{misfit}{f' ({place})' if place else ''}" for place, misfit in by_place[:_SHOWN]]
            more = f"; and {len(by_place) - _SHOWN} more" if len(by_place) > _SHOWN else ""
            raise InvalidInputError(
                f"the metadata of {what} does not fit, and nothing was written: {'; '.join(told)}{more}"
            )
        if bring is not None and ("usage" in said or "signature" in said) and "usage" in after:
            _check_example(what, after, bring)

    def problems(self, found: Sequence[tuple[str, str | None, Metadata]]) -> Iterator[Problem]:
        """What does not fit any more, of the metadata of versions and models.

        Args:
            found: The model, the version (None for the model as a whole), and the metadata of it.
        """
        for schema, of_versions in ((self.version, True), (self.model, False)):
            chosen = [each for each in found if (each[1] is not None) is of_versions]
            yield from _problems(schema, chosen)


def _schema(repo: GitRepo, rev: str | None, path: str) -> MetadataSchema:
    try:
        check_path(path)
    except InvalidInputError as error:
        raise InvalidSettingsError(f"{SETTINGS_FILE}: [metadata]: {error}") from error
    text = repo.read_file(rev, path, limit=MOST_BYTES) if rev is not None else None
    return MetadataSchema.parse(text, path)


def _problems(
    schema: MetadataSchema | None, found: Sequence[tuple[str, str | None, Metadata]]
) -> Iterator[Problem]:
    values = [metadata for _, _, metadata in found]
    misfits: list[tuple[Misfit, ...]] = [() for _ in found]
    if schema is not None and found:
        try:
            misfits = schema.misfits(values, seconds=_SECONDS_FOR_ALL)
        except RegistryError as error:
            yield Problem("", SETTINGS_FILE, str(error), f"mend {schema.path!r}")
    for (model, version, metadata), odd in zip(found, misfits, strict=True):
        told = [*_block_misfits(metadata), *odd]
        if told:
            where = f"metadata of {version or 'the model'}"
            words = "; ".join(map(str, told[:_SHOWN]))
            yield Problem(
                model, where, f"does not fit{f' {schema.path!r}' if schema else ''}: {words}",
                f'registry.annotate("{model}", {json.dumps(version) if version else None}, …)',
            )  # fmt: skip


def _block_misfits(metadata: Metadata) -> Iterator[Misfit]:
    """What is wrong with the entries that this library reads."""
    for name, block in _BLOCKS.items():
        value = metadata.get(name)
        if value is None:
            continue
        try:
            block.model_validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"])
                yield Misfit(
                    f"{name}{place}",
                    f"{each['msg'].removeprefix('Value error, ')}, and it is {each['input']!r:.80}",
                )
    if metadata.get("card") is not None:
        try:
            card_of(metadata["card"], "card", "card")
        except InvalidFileError as error:
            yield Misfit("", str(error))


def _check_example(what: str, metadata: Metadata, bring: Bring) -> None:
    path = Usage.model_validate(metadata["usage"]).example
    if path is None:
        return
    try:
        place = bring(path)
    except PathNotFoundError as error:
        raise PathNotFoundError(
            f"usage.example of {what}: its commit has no {path!r}, neither in Git nor as an output of DVC, and nothing was "
            "written: name what it has, or register a commit that has it"
        ) from error
    if place.is_dir() or place.stat().st_size > MOST_EXAMPLE_BYTES:
        return
    flaws = example_flaws(place.read_bytes(), path, ModelSignature.from_dict(metadata.get("signature")))
    if flaws:
        raise InvalidInputError(
            f"usage.example of {what}: {path!r} is no input of the model, and nothing was written: {'; '.join(flaws)}"
        )
