"""The steps that a ``dvc.yaml`` plans, with ``${…}`` filled in, and where what a ``dvc.lock`` recorded is something else."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import Step
from modelregistry.project.templating import FLAG_STYLES, Context, Load, Templates, text_of
from modelregistry.project.yamltext import as_list, as_mapping

OutKind = Literal["outs", "metrics", "plots"]
_KINDS: tuple[OutKind, ...] = ("outs", "metrics", "plots")
_PARAMS = "params.yaml"
# What DVC reads as another type than JSON has, so that two spellings of it may be one value.
_ODD = re.compile(r"[-+]?\.(inf|nan)|-?(nan|infinity|inf)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*", re.IGNORECASE)
_PATTERN = frozenset("*?[]!")

Command = tuple[str, ...]
Artifacts = Mapping[str, tuple[str, str | None]]
"""Path and type, by name."""


class PlannedOut(NamedTuple):
    """An output that a step is to have."""

    path: str
    kind: OutKind = "outs"
    is_cached: bool = True
    """False where the bytes are left to Git."""


@dataclass(slots=True)  # never changed; a frozen one takes three times as long to make
class PlannedStep:
    """One step as ``dvc.yaml`` has it; of a foreach or a matrix, one of those it makes."""

    name: str
    commands: tuple[Command, ...] = ()
    """What is to be run; more than one where that depends on how DVC is configured."""
    wdir: str | None = "."
    """None where only DVC can fill it in."""
    deps: tuple[str, ...] = ()
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By file; no key stands for the whole file."""
    outs: tuple[PlannedOut, ...] = ()
    frozen: bool = False
    problem: str | None = None
    """Why it can't be filled in; only ``wdir`` is known then."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What one ``dvc.yaml`` says of steps, and of files that belong to no step."""

    steps: Mapping[str, PlannedStep] = field(default_factory=dict)
    """By name, as in ``dvc.lock``; a group that can't be filled in by its own."""
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    artifacts: Artifacts = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """What else can't be filled in."""

    def step(self, name: str) -> PlannedStep | None:
        """The step of that name, or the group that it must be of."""
        found = self.steps.get(name)
        if found is None and "@" in name:
            group = self.steps.get(name.partition("@")[0])
            found = group if group is not None and group.problem else None
        return found


# -- reading -----------------------------------------------------------------------------------------------


def read_pipeline(document: object, path: str, load: Load, artifacts: Artifacts | None = None) -> Pipeline:
    """The pipeline in the ``dvc.yaml`` at ``path``; what can't be filled in says so and does not hurt the others.

    Args:
        document: The file, parsed, with its scalars typed.
        path: From the Git root.
        load: Reads the files that values come from, in the same manner; raises ``InvalidFileError`` where it can't.
        artifacts: What ``plain_artifacts`` makes of the document, where that is known.

    Raises:
        InvalidFileError: It is no ``dvc.yaml``.
    """
    found = as_mapping(document, path, "the file")
    return _Reader(
        found, path, load, plain_artifacts(document, path) if artifacts is None else artifacts
    ).pipeline()


def plain_artifacts(document: object, path: str) -> Artifacts | None:
    """The artifacts in the ``dvc.yaml`` at ``path``, which are the same whatever values there are; None where some are to be filled in.

    Of many models in one file most are plain, and a commit of each model's has that file.
    """
    entries = _entries(as_mapping(document, path, "the file"))
    return None if "${" in json.dumps(entries, default=str) else dict(_declared(entries))


def _entries(document: Mapping[str, Any]) -> Mapping[str, Any]:
    entries = document.get("artifacts")
    return entries if isinstance(entries, dict) else {}


def _declared(entries: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str | None]]]:
    for name, entry in entries.items():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            kind = entry.get("type")
            yield name, (entry["path"], kind if isinstance(kind, str) else None)


class _Reader:
    def __init__(self, document: Mapping[str, Any], path: str, load: Load, plain: Artifacts | None) -> None:
        self._document = document
        self._path = path
        self._load = load
        self._plain = plain
        self._templates = Templates(path)
        self._problems: list[str] = []
        self._context = Context()
        try:
            self._context = self._templates.context(document.get("vars"), load)
        except InvalidFileError as error:
            self._problems.append(str(error))

    def pipeline(self) -> Pipeline:
        stages = as_mapping(self._document.get("stages"), self._path, "'stages'")
        steps = {step.name: step for name, entry in stages.items() for step in self._steps(name, entry)}
        params, metrics, plots = (self._listed(section) for section in ("params", "metrics", "plots"))
        return Pipeline(steps, params, metrics, plots, self._artifacts(), tuple(self._problems))

    def _steps(self, name: str, entry: object) -> Iterator[PlannedStep]:
        if not isinstance(entry, dict):
            yield PlannedStep(name, problem=f"{self._path!r}: step {name!r} is no mapping")
            return
        plan = entry.get("do", entry) if "foreach" in entry else entry
        plan = plan if isinstance(plan, dict) else {}
        members: list[PlannedStep] = []
        try:
            if "foreach" in entry:
                found = self._templates.foreach(entry["foreach"], self._context)
            elif "matrix" in entry:
                found = self._templates.matrix(entry["matrix"], self._context)
            else:
                yield self._step(name, plan, self._context)
                return
            members += [self._step(f"{name}@{key}", plan, context) for key, context in found]
        except InvalidFileError as error:
            yield self._unfilled(name, plan, error)
        yield from members

    def _step(self, name: str, plan: Mapping[str, Any], context: Context) -> PlannedStep:
        try:
            wdir = plan.get("wdir")
            wdir = text_of(self._templates.fill(wdir, context)) if wdir else "."
            if plan.get("vars"):
                folder = posixpath.join(posixpath.dirname(self._path), wdir)
                context = self._templates.extended(context, plan["vars"], folder, self._load)
            filled = {
                key: self._templates.fill(plan[key], context, key) if key in plan else None
                for key in ("deps", "params", *_KINDS)
            }
            return PlannedStep(
                name,
                self._commands(plan.get("cmd"), context),
                wdir,
                tuple(map(str, as_list(filled["deps"], self._path, f"'deps' of {name!r}"))),
                self._params(filled["params"], name),
                tuple(self._outs(filled, name)),
                frozen=plan.get("frozen") is True,
            )
        except InvalidFileError as error:
            return self._unfilled(name, plan, error)

    def _unfilled(self, name: str, plan: Mapping[str, Any], error: InvalidFileError) -> PlannedStep:
        wdir = plan.get("wdir") or "."
        # What is wrong with the values explains better why one of them is not there.
        return PlannedStep(
            name,
            wdir=None if not isinstance(wdir, str) or "${" in wdir else wdir,
            frozen=plan.get("frozen") is True,
            problem="; ".join([*self._problems[:1], str(error)]),
        )

    def _commands(self, cmd: object, context: Context) -> tuple[Command, ...]:
        before = self._templates.flagged
        found = [_lines(self._templates.fill(cmd, context, "cmd"))]
        if self._templates.flagged > before:
            found += [_lines(self._templates.fill(cmd, context, "cmd", style)) for style in FLAG_STYLES[1:]]
        return tuple(dict.fromkeys(found))

    def _params(self, items: object, name: str) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        whole: set[str] = set()
        if items is None:
            return {}
        for item in as_list(items, self._path, f"'params' of {name!r}"):
            for file, keys in item.items() if isinstance(item, dict) else [(_PARAMS, [item])]:
                known = found.setdefault(file, [])
                known += map(text_of, as_list(keys, self._path, f"'params' of {name!r}"))
                if not keys:
                    whole.add(file)
        return {file: () if file in whole else tuple(dict.fromkeys(keys)) for file, keys in found.items()}

    def _outs(self, filled: Mapping[str, object], name: str) -> Iterator[PlannedOut]:
        for kind in _KINDS:
            if filled[kind] is None:
                continue
            for item in as_list(filled[kind], self._path, f"{kind!r} of {name!r}"):
                for path, flags in item.items() if isinstance(item, dict) else [(text_of(item), None)]:
                    cached = not (isinstance(flags, dict) and flags.get("cache") is False)
                    yield PlannedOut(path, kind, cached)

    # -- what belongs to no step ---------------------------------------------------------------------------

    def _listed(self, section: str) -> tuple[str, ...]:
        try:
            items = as_list(self._document.get(section), self._path, f"{section!r}")
        except InvalidFileError as error:
            self._problems.append(str(error))
            return ()
        found: list[str] = []
        for item in items:
            try:
                filled = self._templates.fill(item, self._context)
            except InvalidFileError as error:
                self._problems.append(str(error))
                continue
            for name, shown in filled.items() if isinstance(filled, dict) else [(filled, None)]:
                found += _plotted(shown) or [text_of(name)]
        return tuple(dict.fromkeys(found))

    def _artifacts(self) -> Artifacts:
        if self._plain is not None:
            return self._plain
        found: dict[str, tuple[str, str | None]] = {}
        for name, entry in _entries(self._document).items():
            with suppress(InvalidFileError):  # whoever asks for that one is told
                found.update(_declared(self._templates.fill({name: entry}, self._context)))
        return found


def _lines(cmd: object) -> Command:
    return tuple(map(text_of, cmd)) if isinstance(cmd, list) else (text_of(cmd),)


def _plotted(shown: object) -> list[str]:
    """The files that a plot with a name of its own shows; none where the name is the file."""
    files: list[str] = []
    for axis in ("x", "y"):
        value = shown.get(axis) if isinstance(shown, dict) else None
        files += value if isinstance(value, dict) else ()
    return files


# -- comparing ---------------------------------------------------------------------------------------------


def differences(step: Step, plan: PlannedStep) -> list[str]:
    """In what ``dvc.yaml`` says otherwise than ``dvc.lock`` recorded, as ``dvc status`` sees it; params apart."""
    found = [] if step.cmd in plan.commands else ["its command is another one"]
    for word, planned, recorded in (
        ("output", [out.path for out in plan.outs], [out.path for out in step.outs]),
        ("dependency", plan.deps, [dep.path for dep in step.deps]),
    ):
        known = set(recorded)
        if known.issuperset(planned):
            continue
        spelled = {posixpath.normpath(path): f", which spells it {path!r}" for path in recorded}
        found += [
            f"the {word} {path!r} is not in dvc.lock{spelled.get(posixpath.normpath(path), '')}"
            for path in planned
            if path not in known
        ]
    return found


def left_over(step: Step, plan: PlannedStep) -> list[str]:
    """What ``dvc.lock`` recorded and ``dvc.yaml`` does not name any more; to DVC that is no change."""
    planned = [*plan.deps, *[out.path for out in plan.outs]]
    return without([dep.path for dep in step.deps] + [out.path for out in step.outs], planned)


def without(paths: Collection[str], others: Iterable[str]) -> list[str]:
    """The paths that are none of the others, however they are spelled."""
    known = set(others)
    if known.issuperset(paths):  # most are spelled alike
        return []
    known.update([posixpath.normpath(path) for path in known])
    return [path for path in paths if posixpath.normpath(path) not in known]


def param_differences(
    file: str, keys: Sequence[str], recorded: Mapping[str, Any], actual: object
) -> tuple[list[str], list[str]]:
    """In what the params file is another than ``dvc.lock`` recorded, and what can't be compared.

    Args:
        file: Its name, for what is said.
        keys: Those that the step depends on; none for the whole file.
        recorded: The values in ``dvc.lock``.
        actual: The file, parsed.
    """
    if not isinstance(actual, dict):
        return [], [f"{file!r} is no mapping"]
    changed, unclear = [], []
    for key in keys or dict.fromkeys([*actual, *recorded]):
        there, value = (key in actual, actual.get(key)) if not keys else _value(actual, key)
        if _PATTERN & set(key) and not there:
            unclear.append(f"{key!r} of {file!r} is a pattern")
        elif not there:
            changed.append(f"{key!r} is not in {file!r} any more")
        elif key not in recorded:
            changed.append(f"{key!r} of {file!r} is not in dvc.lock")
        elif value != recorded[key]:
            if _is_odd(value) or _is_odd(recorded[key]):
                unclear.append(f"{key!r} of {file!r} may be the same or not")
            else:
                changed.append(f"{key!r} of {file!r} is {_short(value)}, and was {_short(recorded[key])}")
    return changed, unclear


def _value(values: object, key: str) -> tuple[bool, object]:
    """Whether there is something at the key with dots in it, and what."""
    found = values
    for part in key.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return False, None
    return True, found


def _is_odd(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_is_odd, value.values()))
    if isinstance(value, list):
        return any(map(_is_odd, value))
    return isinstance(value, str) and bool(_ODD.fullmatch(value))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
