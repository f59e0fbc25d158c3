"""A version of a model: what was true of it when it was read, and verbs that bring its bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from pydantic import JsonValue

from modelregistry.display.shown import Shown
from modelregistry.givenpath import given_path
from modelregistry.log.events import FileDigest, Registered
from modelregistry.metadata.signature import ModelSignature
from modelregistry.progress import Progress
from modelregistry.project.declarationtexts import Declaration

if TYPE_CHECKING:  # few ask for it
    from modelregistry.cards.card import ModelCard
    from modelregistry.display.view import View
    from modelregistry.exports.manifest import Exported
    from modelregistry.lineage.lineage import Lineage
    from modelregistry.lineage.reproduced import Reproduction
    from modelregistry.metadata.evaluation import Evaluation
    from modelregistry.metadata.usage import Usage

Trust = Literal["code"] | Sequence[str] | None
"""What ``trust=`` takes: None, names and digests, or ``"code"``."""
Verify = Literal["always", "once"]
"""What ``verify=`` takes: hash the bytes at every use, or once and again when the file looks otherwise."""


class Reader(Protocol):
    """What a version asks for what the log does not hold."""

    def declaration(self, version: ModelVersion) -> Declaration:
        """The entry of ``artifacts:`` in ``dvc.yaml`` at the version's commit."""

    def files(self, version: ModelVersion) -> tuple[FileDigest, ...]:
        """The version's files."""

    def local_path(self, version: ModelVersion, *, verify: Verify, progress: Progress) -> Path:
        """A verified file or folder on this machine."""

    def open(
        self,
        version: ModelVersion,
        path: str | os.PathLike[str] | None,
        *,
        verify: Verify,
        progress: Progress,
    ) -> BinaryIO:
        """One verified file, opened for reading."""

    def download(
        self, version: ModelVersion, to: Path, *, overwrite: bool, verify: Verify, progress: Progress
    ) -> Path:
        """A copy of the verified file or folder in the folder ``to``."""

    def lineage(self, version: ModelVersion) -> Lineage:
        """What it was made from."""

    def card(self, version: ModelVersion) -> ModelCard:
        """What is known of it, as a page."""

    def glance(self, version: ModelVersion) -> Mapping[str, object]:
        """The metrics that were recorded of it, as far as a quick look on this machine tells; it never raises."""

    def reproduce(
        self,
        version: ModelVersion,
        *,
        tolerance: float | Mapping[str, float],
        timeout: float | None,
        progress: Progress,
    ) -> Reproduction:
        """What comes of running its pipeline again."""

    def load(
        self, version: ModelVersion, *, trust: Trust, loader: str | None, verify: Verify, progress: Progress
    ) -> object:
        """The object."""

    def convert(
        self,
        version: ModelVersion,
        to: Path,
        *,
        format: str,  # noqa: A002
        trust: Trust,
        loader: str | None,
        example: object,
        progress: Progress,
    ) -> Path:
        """A file with the same model in another format."""

    def export(
        self,
        version: ModelVersion,
        target: str | os.PathLike[str],
        *,
        format: str,  # noqa: A002
        bom: bool,
        overwrite: bool,
        storage_options: Mapping[str, Any] | None,
        verify: Verify,
        progress: Progress,
    ) -> Exported:
        """What an export left at the target."""

    def cyclonedx(self, version: ModelVersion) -> dict[str, Any]:
        """Its bill of materials."""


@dataclass(frozen=True, slots=True, repr=False)
class ModelVersion(Shown):
    """One version of a model, as it was when it was read.

    It is a frozen value: ``head`` names the position of the model's log at which it was true. Two are equal when
    they say the same. Verbs that need the bytes fetch what is missing and verify everything before they hand it out.
    """

    name: str
    """The model."""
    version: str
    """SemVer with a leading ``v``."""
    state: str
    """The highest stage it holds, else ``inactive``, else ``withdrawn``."""
    stages: tuple[str, ...]
    """The stages it holds, highest first."""
    rev: str
    """The commit it was registered at; empty in a dry run that would make that commit."""
    source_rev: str
    """The commit it was made from; another one than ``rev`` where several versions come from one commit."""
    digest: str | None
    """``sha256:…`` of the file, or of the manifest of the folder; None where the registration recorded none."""
    size: int | None
    """Bytes in all, if the registration recorded it."""
    created_at: datetime
    """When it was registered."""
    author: str
    """Who registered it."""
    message: str
    """Why, in the author's words."""
    metadata: Mapping[str, JsonValue] = field(hash=False)
    """What was said of it, at registration and since."""
    head: str = field(compare=False)
    """The position of the model's log at which all this was true."""
    deprecated: bool = False
    """Whether the model was deprecated."""
    dry_run: bool = field(default=False, compare=False)
    """Whether it is not there, but what a call with ``dry_run=True`` would make: it tells what is known of that, and to
    load it, or to ask for its lineage, is a ``VersionNotFoundError``."""
    registered: Registered = field(compare=False, repr=False, default=None)  # type: ignore[assignment]
    """The event that registered it."""
    _reader: Reader = field(compare=False, repr=False, default=None)  # type: ignore[assignment]

    def _line(self) -> str:
        end = "dry_run=True" if self.dry_run else f"rev={self.rev[:10]!r}"
        return f"ModelVersion({self.name!r}, {self.version!r}, state={self.state!r}, {end})"

    def _view(self) -> View:
        from modelregistry.display.cards import version_card

        return version_card(
            self.reference, self.stages or (self.state,), deprecated=self.deprecated, dry_run=self.dry_run,
            message=self.message, author=self.author, created_at=self.created_at, rev=self.rev, digest=self.digest,
            size=self.size, metadata=self.metadata,
            metrics=metrics_of(self, self._reader.glance(self) if self._reader is not None else {}),
        )  # fmt: skip

    @property
    def reference(self) -> str:
        """``name@version``: names this very version for ever."""
        return f"{self.name}@{self.version}"

    @property
    def path(self) -> str:
        """Where the artifact is in the repository, relative to the Git root, as ``dvc.yaml`` says at ``rev``.

        Raises:
            PathNotFoundError: ``dvc.yaml`` does not declare it there.
            InvalidFileError: ``dvc.yaml`` can't be read.
        """
        return self._reader.declaration(self).path

    @property
    def type(self) -> str | None:
        """What ``dvc.yaml`` says it is, such as ``model``; raises as ``path`` does."""
        return self._reader.declaration(self).type

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in ``dvc.yaml``; raises as ``path`` does."""
        return self._reader.declaration(self).labels

    @property
    def description(self) -> str | None:
        """The description in ``dvc.yaml``; raises as ``path`` does."""
        return self._reader.declaration(self).description

    @property
    def environment(self) -> Mapping[str, str] | None:
        """What it was made with: Python and distributions, and their versions; None where nobody recorded it."""
        found = self.metadata.get("environment")
        if not isinstance(found, dict):
            return None
        texts = {name: value for name, value in found.items() if isinstance(value, str)}
        return texts if len(texts) == len(found) else None

    @property
    def signature(self) -> ModelSignature | None:
        """What goes in and what comes out; None where nobody recorded it."""
        return ModelSignature.from_dict(self.metadata.get("signature"))

    @property
    def lineage(self) -> Lineage:
        """What it was made from: data, code, parameters, steps, and what those were made from, in other repositories too.

        Read from what DVC recorded at its commit; nothing is run, and no bytes are fetched. What can't be told is in
        the graph, and says why.

        Raises:
            PathNotFoundError: ``dvc.yaml`` does not declare it there.
            InvalidFileError: ``dvc.yaml`` can't be read.
            RevisionNotFoundError: The commit is not here, and can't be brought.
        """
        return self._reader.lineage(self)

    @property
    def usage(self) -> Usage | None:
        """How it is used, as ``metadata["usage"]`` says; None where that says nothing that is understood."""
        from modelregistry.metadata.usage import usage_in

        return usage_in(self.metadata)

    @property
    def evaluation(self) -> Evaluation | None:
        """How it is measured, as ``metadata["evaluation"]`` says; None where that says nothing that is understood."""
        from modelregistry.metadata.evaluation import evaluation_in

        return evaluation_in(self.metadata)

    @property
    def card(self) -> ModelCard:
        """Its model card: what the registry knows and what the team says, as Markdown; ``missing`` lists what nobody said.

        Metrics stand beside those of the version that holds the highest stage; for the holder, of who held it before,
        as the log is now.

        Raises:
            InvalidFileError: What the team says has a field that is unknown, or of the wrong type.
        """
        return self._reader.card(self)

    @property
    def params(self) -> Mapping[str, JsonValue]:
        """The parameters it was made with, by keys with dots, from its lineage; raises as ``lineage`` does."""
        return self.lineage.values("params")

    @property
    def metrics(self) -> Mapping[str, JsonValue]:
        """Its metrics, by keys with dots: of its lineage, and over them what was measured or said since.

        It raises as ``lineage`` does, but for a dry run, which has what was said.
        """
        recorded = {} if self.dry_run and not self.rev else self.lineage.values("metrics")
        return {**recorded, **metrics_of(self, {})}

    def reproduce(
        self,
        *,
        tolerance: float | Mapping[str, float] = 0.0,
        timeout: float | None = None,
        progress: Progress = None,
    ) -> Reproduction:
        """Make it again, and compare: ``dvc repro`` in a temporary copy of its commit, with the inputs fetched.

        That runs the commands of the project, so do it with projects that you trust. The working copy, the repository
        and DVC's cache are left alone; nothing is taken from earlier runs.

        Args:
            tolerance: How far a metric may be from what was recorded: for all, or by key (``{"auc": 0.01}``; a key with
                dots, or its end). Everything else must be the same bit for bit.
            timeout: Seconds after which the pipeline is ended.
            progress: As for ``local_path``; told of the inputs that are fetched, and of the pipeline.

        Returns:
            A verdict for each output of the steps that made it; true if all are the same, or within the tolerance.

        Raises:
            RefusedError: No step of a pipeline made it, a step failed, or the time was up.
            InvalidInputError: A tolerance that is none.
            MissingBytesError: An input is nowhere to be had.
            IntegrityError: An input is not what was recorded.
        """
        return self._reader.reproduce(self, tolerance=tolerance, timeout=timeout, progress=progress)

    def files(self) -> tuple[FileDigest, ...]:
        """Its files: path inside the artifact, sha256 (where recorded), size in bytes. Fetches nothing.

        Raises:
            PathNotFoundError: The commit does not have the artifact.
            InvalidFileError: A metadata file can't be read.
        """
        return self._reader.files(self)

    def local_path(self, *, verify: Verify = "once", progress: Progress = None) -> Path:
        """The file or folder on this machine, read-only and verified.

        Args:
            verify: ``"once"``: files that look as they did when they were last hashed are not hashed again;
                ``"always"``: every byte is, by this call.
            progress: Who is told while missing bytes are fetched: a function of what is done and what there is in all,
                a callback of fsspec, True for a bar, False for none. Left out, there is a bar where somebody looks (a
                terminal, a notebook) and it takes longer than a second.

        Raises:
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes; they were set aside.
            CacheError: They can't be kept.
            PathNotFoundError: The commit does not have the artifact.
        """
        return self._reader.local_path(self, verify=verify, progress=progress)

    def open(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> BinaryIO:
        """One of its files, verified, opened for reading; of a folder, only that file is fetched.

        Args:
            path: Inside the artifact; may be left out when the version is one file.
            verify: As for ``local_path``.
            progress: As for ``local_path``.

        Raises:
            PathNotFoundError: No such file in it.
            MissingBytesError: Its bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        return self._reader.open(self, path, verify=verify, progress=progress)

    def download(
        self,
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> Path:
        """Copy its verified file or folder into a folder, whole or not at all; returns where it is there.

        Args:
            to: The folder, made if need be. What is there already, with the same bytes, is left alone.
            overwrite: Replace what has the same name there, and other bytes.
            verify: As for ``local_path``.
            progress: As for ``local_path``.

        Raises:
            InvalidInputError: Something else has that name there, or ``to`` is a file.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes; they were set aside.
            CacheError: They can't be kept.
        """
        return self._reader.download(
            self, given_path(to, "to"), overwrite=overwrite, verify=verify, progress=progress
        )

    def load(
        self,
        *,
        trust: Trust = None,
        loader: str | None = None,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> object:
        """The object: verified bytes, through the one loader that fits, within what the caller trusts.

        Args:
            trust: Names (``["mypkg.Clipper"]``) or digests (``["sha256:…"]``) to trust, or ``"code"`` for anything.
            loader: The loader to use, such as ``"skops"``; else the one that recognises the file.
            verify: As for ``local_path``.
            progress: As for ``local_path``.

        Raises:
            UntrustedModelError: Loading would run code that the caller does not trust; it says which.
            UnknownFormatError: No loader recognises the file.
            MissingDependencyError: The library of the format is not installed.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        return self._reader.load(self, trust=trust, loader=loader, verify=verify, progress=progress)

    def convert(
        self,
        to: str | os.PathLike[str],
        *,
        format: str,  # noqa: A002 - the word for it
        trust: Trust = None,
        loader: str | None = None,
        example: object = None,
        progress: Progress = None,
    ) -> Path:
        """Write the model in another format, which others can load with less trust; returns the file.

        The file is loaded again before it gets its name, which is that of the artifact with the suffix of the format;
        one that has the name already is replaced.

        Args:
            to: The folder to write to.
            format: ``"skops"`` (scikit-learn) or ``"onnx"`` (scikit-learn, by ``skl2onnx``).
            trust: As ``load`` takes it: the model is loaded first.
            loader: As ``load`` takes it.
            example: Some rows of input, as an array, a data frame, a list of rows or a list of texts: what was written
                must answer to them as the model does. ``"onnx"`` takes the types of its inputs from them (numbers in
                lists are 64-bit floats), else all of them for 32-bit floats.
            progress: As for ``local_path``.

        Raises:
            ConversionError: The model can't be written so, or answers otherwise then; nothing was left behind.
            InvalidInputError: No such format, no such folder, or an example that is no rows of input.
            UntrustedModelError: Loading would run code that the caller does not trust; it says which.
            MissingDependencyError: The library of a format is not installed.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        return self._reader.convert(
            self,
            given_path(to, "to"),
            format=format,
            trust=trust,
            loader=loader,
            example=example,
            progress=progress,
        )

    def export(
        self,
        target: str | os.PathLike[str],
        *,
        format: str = "folder",  # noqa: A002 - the word for it
        bom: bool = False,
        overwrite: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> Exported:
        """Put its verified files where others take them from, with a ``manifest.json`` that says what they are.

        Every file is read back and hashed, and the manifest is written last: who goes by it sees the whole export or
        none. To export again writes nothing where all is there, and goes on where an earlier call was killed. Nothing is
        deserialised. ``mr.verify_export(target)`` checks it where it is received.

        Args:
            target: A folder for this version alone, or the URL of one that fsspec knows
                (``"s3://models/churn/v1.2.0"``).
            format: ``"folder"`` for plain files; ``"tar.gz"`` for one archive, as Amazon SageMaker takes it; ``"oci"`` for
                an OCI artifact by the ModelPack specification, in a folder or, at ``"oci://registry/repository:tag"``, in
                a registry of containers; ``"mlflow"`` for a folder that MLflow loads; or what ``register_exporter`` or an
                installed package brings (entry points ``modelregistry.exporters``).
            bom: Put a bill of materials with them, as ``to_cyclonedx`` gives it: ``bom.cdx.json``.
            overwrite: Replace another version, or other bytes, that an export left there. Files that no export put there
                are left alone, and refused.
            storage_options: What the file system of the URL takes (``{"endpoint_url": …}``); of a registry of containers,
                ``username`` and ``password`` (else what ``docker login`` keeps), and ``insecure`` for HTTP.
            verify: As for ``local_path``.
            progress: As for ``local_path``; told of the writing, too, and of the reading back.

        Raises:
            InvalidInputError: Something else is there, or there is no such format or file system.
            WithdrawnError: It was withdrawn.
            ExportError: The target can't be written, or read back.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes; they were set aside.
            CacheError: They can't be kept.
            MissingDependencyError: The package for such URLs, or for the format, is not installed.
        """
        return self._reader.export(
            self, target, format=format, bom=bom, overwrite=overwrite, storage_options=storage_options, verify=verify,
            progress=progress,
        )  # fmt: skip

    def to_cyclonedx(self) -> dict[str, Any]:
        """A bill of materials in the JSON of CycloneDX 1.6, with a model card.

        It has the files and their hashes, the signature, parameters and metrics, the data that the model was made from,
        what it was made with, and licenses (from the metadata ``license``, or the card's). Nothing is fetched. The same version, with the same metadata, gives the same.

        Raises:
            PathNotFoundError: ``dvc.yaml`` does not declare it at its commit.
            InvalidFileError: A metadata file can't be read.
        """
        return self._reader.cyclonedx(self)

    def verify(self, *, progress: Progress = None) -> None:
        """Check every byte on this machine against what was registered; fetches what is missing.

        Args:
            progress: As for ``local_path``.

        Raises:
            IntegrityError: They are not the registered bytes.
            MissingBytesError: They are nowhere to be had.
        """
        self._reader.local_path(self, verify="always", progress=progress)

    def __fspath__(self) -> str:
        return os.fspath(self.local_path())


def metrics_of(version: ModelVersion, recorded: Mapping[str, object]) -> dict[str, float]:
    """The numbers that a version reached, by keys with dots.

    What was measured or said since, name by name, over what ``recorded_metrics`` gives.
    """
    from modelregistry.metadata.evaluation import figures

    return recorded_metrics(version, recorded) | dict(figures(version.metadata.get("metrics")))


def recorded_metrics(version: ModelVersion, recorded: Mapping[str, object]) -> dict[str, float]:
    """Those of them that never change: what was declared at registration, over what its pipeline recorded."""
    from modelregistry.metadata.evaluation import figures

    declared = version.registered.lineage if version.registered is not None else None
    return dict(figures(recorded)) | dict(figures(declared.metrics if declared is not None else {}))


def said_of(version: ModelVersion, kind: Literal["metrics", "params"]) -> Mapping[str, JsonValue]:
    """What people say of its metrics or parameters, by keys with dots: at registration, and over that in its metadata."""
    said = version.metadata.get(kind)
    declared = version.registered.lineage if version.registered is not None else None
    if said is None and declared is None:
        return {}
    from modelregistry.lineage.facts import measured
    from modelregistry.lineage.node import flat

    known: dict[str, JsonValue] = {}
    if declared is not None:
        known |= flat(measured(declared.metrics) if kind == "metrics" else declared.params)
    return known | dict(flat(said)) if isinstance(said, dict) else known
