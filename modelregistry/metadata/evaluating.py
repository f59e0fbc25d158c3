"""Measures a version: runs a command on its verified bytes, and reads the metrics that it writes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from modelregistry.childprocess import run
from modelregistry.content.identity import whole_digest
from modelregistry.content.store import hash_file
from modelregistry.display.tables import Rows, Tabular
from modelregistry.display.view import Badge, Code, Facts, Note, View
from modelregistry.errors import InvalidInputError, RefusedError, UntrustedModelError
from modelregistry.givenpath import given_path
from modelregistry.loading.deserialize import escaped
from modelregistry.loading.environment import PYTHON, installed
from modelregistry.log.events import FileDigest
from modelregistry.metadata.evaluation import PLACEHOLDERS, Evaluation, figures, is_number
from modelregistry.progress import Progress
from modelregistry.trust.trust import Trust
from modelregistry.version import ModelVersion
from modelregistry.version import Trust as TrustArgument

MOST_BYTES = 1 << 20
"""Of the metrics that a command writes."""
_MOST_DEPTH = 16
_COLUMNS: Mapping[str, Callable[[tuple[str, object]], object]] = {
    "metric": lambda row: row[0],
    "value": lambda row: row[1],
}


@dataclass(frozen=True, slots=True, repr=False)
class Evaluated(Tabular):
    """What ``Registry.evaluate`` measured."""

    reference: str
    """The version, as ``name@version``."""
    metrics: Mapping[str, JsonValue] = field(hash=False)
    """As the command wrote them: numbers, perhaps nested."""
    unmet: tuple[str, ...]
    """The metrics that are worse than the threshold in the version's ``evaluation`` block."""
    data: str
    """What the data is called."""
    digest: str
    """Of the data: sha256 of the file, or of the manifest of the folder."""
    command: tuple[str, ...]
    """What was run, before paths were filled in."""
    environment: Mapping[str, str] = field(hash=False)
    """What it was measured with: Python and the distributions that the model was made with, and their versions."""
    seconds: float
    """How long it took."""
    recorded: bool
    """False where nothing was written (``dry_run``)."""
    log: str = field(compare=False)
    """The end of what the command printed."""

    @property
    def rows(self) -> Rows[tuple[str, object]]:
        """The metrics, line by line."""
        return Rows(figures(self.metrics), _COLUMNS)

    def _line(self) -> str:
        metrics = dict(figures(self.metrics))
        return f"Evaluated({self.reference!r}, seconds={self.seconds:.1f}, metrics={metrics!r})"

    def _view(self) -> View:
        badges = [] if self.recorded else [Badge("dry run", "warn")]
        unmet = [Note(f"worse than its threshold: {', '.join(self.unmet)}", "bad")] if self.unmet else []
        facts = Facts(
            [
                ("on", self.data),
                ("digest", Code(self.digest)),
                ("command", Code(shlex.join(self.command))),
                ("seconds", round(self.seconds, 1)),
            ]
        )
        return View(f"{self.reference} was measured", badges, [*unmet, self.rows._table(), facts])

    def to_metadata(self) -> dict[str, JsonValue]:
        """The entries that are recorded."""
        return {
            "metrics": dict(self.metrics),
            "evaluated": {
                "data": self.data, "digest": self.digest, "command": [*self.command],
                "environment": dict(self.environment), "seconds": round(self.seconds, 3),
            },
        }  # fmt: skip


def check_command(command: object) -> tuple[str, ...]:
    """The command that a caller passed.

    Raises:
        InvalidInputError: It is no list of texts.
    """
    if isinstance(command, str) or not isinstance(command, Sequence) or not command:
        raise InvalidInputError(
            f"command={command!r}: it must be a list of a program and its arguments, for no shell reads it: "
            '["python", "evaluate.py", "{model}", "{data}", "{output}"]'
        )
    odd = next((part for part in command if not isinstance(part, str) or not part or "\0" in part), None)
    if odd is not None:
        raise InvalidInputError(f"command={command!r}: {odd!r} is no argument of a program")
    return tuple(command)


def check_timeout(timeout: object) -> None:
    """Refuse what ``timeout=`` does not take.

    Raises:
        InvalidInputError: It is no number of seconds.
    """
    if timeout is not None and not (is_number(timeout) and timeout > 0):  # type: ignore[operator]
        raise InvalidInputError(f"timeout={timeout!r}: it must be a number of seconds, or None for no end")


def command_digest(command: Sequence[str], rev: str) -> str:
    """What stands for a command and the commit whose files it runs with: what ``trust=`` can name."""
    text = json.dumps({"command": list(command), "rev": rev}, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def permit(
    command: Sequence[str],
    rev: str,
    trust: TrustArgument,
    signer: Callable[[], str | None],
    *,
    reference: str,
) -> None:
    """Refuse a command that comes from the repository, unless the one who calls vouches for it.

    Raises:
        UntrustedModelError: They do not; the message shows the command, and how to.
        InvalidInputError: ``trust`` is misspelt.
    """
    given = Trust.parse(trust)
    digest = command_digest(command, rev)
    if given.code or digest in given.digests or signer() is not None:
        return
    shown = escaped(shlex.join(command))
    remedies = (f'trust=["{digest}"]', 'trust="code"', "command=[…]")
    raise UntrustedModelError(
        f"nothing was run: the command that measures {reference!r} comes from the repository, and would run what its "
        f"commit {rev[:10]} holds:\n    {shown}\nIf you trust who wrote both, use one of\n"
        f"    {remedies[0]}  # exactly this command, at that commit\n"
        f"    {remedies[1]}  # whatever the repository says\n"
        f"    {remedies[2]}  # a command of your own",
        names=(), digest=digest, tier="code", remedies=remedies,
    )  # fmt: skip


def evaluate(
    version: ModelVersion,
    command: Sequence[str],
    data: str | os.PathLike[str],
    *,
    evaluation: Evaluation | None,
    check_out: Callable[[Path, Path], None] | None,
    timeout: float | None,
    recorded: bool,
    progress: Progress = None,
) -> Evaluated:
    """Run the command and read what it measured.

    Args:
        version: The version; its bytes are verified before.
        command: The program and its arguments.
        data: What to measure it on: a file or folder of the caller's.
        evaluation: What is known of the metrics.
        check_out: Puts the files of the version's commit into a folder, where the command runs then; without it, it
            runs where the caller is.
        timeout: Seconds after which it is ended.
        recorded: Whether what comes of it is to be recorded.
        progress: Who is told while missing bytes are fetched.

    Raises:
        RefusedError: The command failed, took too long, or wrote no metrics that are numbers.
        InvalidInputError: There is no such data, or it changed meanwhile.
    """
    if not isinstance(data, str | os.PathLike):
        raise InvalidInputError(f"data={data!r}: it must be the path of a file or a folder")
    place = given_path(data, "data").absolute()
    digest = _digest(place)
    model = version.local_path(progress=progress)
    with tempfile.TemporaryDirectory(prefix="modelregistry-", ignore_cleanup_errors=True) as folder:
        where, output = Path.cwd(), Path(folder, "metrics.json")
        if check_out is not None:
            where = Path(folder, "commit")
            check_out(Path(folder), where)
        paths = dict(zip(PLACEHOLDERS, map(os.fspath, (model, place, output)), strict=True))
        environment = {
            f"MODELREGISTRY_{name.strip('{}').upper()}": path for name, path in paths.items()
        }  # fmt: skip
        began = time.monotonic()
        log = _run(
            _filled(command, paths),
            where,
            Path(folder),
            environment,
            timeout=timeout,
            reference=version.reference,
        )
        seconds = time.monotonic() - began
        metrics = _metrics(output, log, reference=version.reference)
    if _digest(place) != digest:
        raise InvalidInputError(
            f"data={os.fspath(data)!r} changed while {version.reference} was measured on it"
        )
    known = evaluation.metrics if evaluation is not None else {}
    values = dict(figures(metrics))
    unmet = tuple(name for name, each in known.items() if name in values and not each.is_met(values[name]))
    return Evaluated(
        version.reference, metrics, unmet, place.name, digest, tuple(command),
        installed([PYTHON, *(version.environment or {})]), seconds, recorded, log,
    )  # fmt: skip


def _filled(command: Sequence[str], paths: Mapping[str, str]) -> list[str]:
    # All at once: what is filled in is not looked at again, whatever it is called.
    pattern = re.compile("|".join(map(re.escape, paths)))
    return [pattern.sub(lambda match: paths[match[0]], part) for part in command]


def _run(
    command: Sequence[str],
    where: Path,
    folder: Path,
    environment: Mapping[str, str],
    *,
    timeout: float | None,
    reference: str,
) -> str:
    try:
        status, log = run(command, where, folder / "log", environment=environment, timeout=timeout)
    except TimeoutError as error:
        raise RefusedError(
            f"{reference} was not measured within {timeout} seconds, and nothing was recorded"
        ) from error
    except OSError as error:
        raise RefusedError(f"{reference} can't be measured: {command[0]!r} can't be run: {error}") from error
    if status:
        raise RefusedError(
            f"{reference} can't be measured, and nothing was recorded: {shlex.join(command)} ended with {status}\n\n{log}"
        )
    return log


def _digest(place: Path) -> str:
    try:
        if place.is_file():
            return hash_file(place).sha256
        files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else []
        if not files:
            raise InvalidInputError(
                f"data={os.fspath(place)!r}: there is no such file, and no folder with files"
            )
        hashed = [(path.relative_to(place).as_posix(), hash_file(path)) for path in files]
        found = [FileDigest(path=path, sha256=each.sha256[7:], size=each.size) for path, each in hashed]
    except OSError as error:
        raise InvalidInputError(f"data={os.fspath(place)!r} can't be read: {error}") from error
    return whole_digest(found, is_directory=True)


def _metrics(output: Path, log: str, *, reference: str) -> dict[str, JsonValue]:
    """What the command wrote."""

    def refuse(what: str) -> RefusedError:
        return RefusedError(f"{reference} was measured, and nothing was recorded: {what}\n\n{log}".rstrip())

    try:
        with output.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise refuse(
            "the command wrote no metrics: it must write a JSON object to {output}, which is also $MODELREGISTRY_OUTPUT"
        ) from error
    if len(text) > MOST_BYTES:
        raise refuse(f"the metrics have more than {MOST_BYTES:,} bytes")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse(f"the metrics are no JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise refuse(f'the metrics must be a JSON object such as {{"auc": 0.91}}; got {found!r:.80}')
    if (odd := _odd(found)) is not None:
        raise refuse(f"the metric {odd[0]!r} is {odd[1]!r:.80}, which is no finite number")
    return found


def _odd(value: object, key: str = "", depth: int = 0) -> tuple[str, object] | None:
    """A leaf that is no number."""
    if isinstance(value, dict) and value and depth < _MOST_DEPTH:
        inner = (_odd(item, f"{key}.{name}" if key else name, depth + 1) for name, item in value.items())
        return next((odd for odd in inner if odd is not None), None)
    return None if is_number(value) else (key, value)
