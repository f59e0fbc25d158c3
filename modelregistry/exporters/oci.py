"""An OCI artifact by the ModelPack specification: an image layout, or what a registry of containers gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelregistry.exporters import modelpack
from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source
from modelregistry.exporters.ociregistry import push
from modelregistry.exports.bom import BOM
from modelregistry.metadata.licenses import licenses

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class OciExporter(Exporter):
    """Each file of the model is a layer of its own, as it is: so the digest of the layer is the registered one."""

    name: ClassVar[str] = "oci"
    schemes: ClassVar[tuple[str, ...]] = ("oci",)

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        """An image layout with one artifact."""
        under = f"{source.name}/" if source.is_directory else ""
        layers = []
        blobs: dict[str, ExportFile] = {}
        for file in source.files:
            kind = modelpack.kind_of(file.path, alone=len(source.files) == 1)
            layers.append(modelpack.layer(file, f"{under}{file.path}", kind))
            place = f"blobs/sha256/{file.sha256}"
            blobs[place] = ExportFile(place, source.local(file), file.sha256)
        if source.bom is not None:
            extra = modelpack.Blob(source.bom, modelpack.layer_type("doc"))
            layers.append(extra.descriptor(annotations=modelpack.layer_notes(BOM)))
            place = f"blobs/sha256/{extra.sha256}"
            blobs[place] = ExportFile(place, extra.data, extra.sha256)
        # What was said later is in manifest.json: it would make another artifact of the same version.
        under_licenses = licenses(source.version.registered.metadata)
        about = modelpack.config(source, under_licenses, layers)
        manifest = modelpack.manifest(source, under_licenses, about, layers)
        for blob in (about, manifest):
            place = f"blobs/sha256/{blob.sha256}"
            blobs[place] = ExportFile(place, blob.data, blob.sha256)
        index = modelpack.index(manifest, modelpack.tag_of(source.version.version))
        layout = (ExportFile("oci-layout", _LAYOUT), ExportFile("index.json", index))
        return Arrangement((*blobs.values(), *layout), has_bom=source.bom is not None)

    def deliver(
        self,
        files: Mapping[str, ExportFile],
        target: str,
        *,
        overwrite: bool,
        options: Mapping[str, Any],
        report: Callable[[int, int | None], None],
    ) -> tuple[str, Sequence[str]]:
        """Push the artifact to ``oci://registry/repository:tag``; without a tag, it is the version."""
        return push(files, target, overwrite=overwrite, options=options, report=report)
