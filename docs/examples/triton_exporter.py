"""A model repository for NVIDIA Triton: an exporter of one's own."""

from pathlib import Path

from modelregistry.errors import ExportError
from modelregistry.exporters.base import Arrangement, Exporter, ExportFile, Source


class TritonExporter(Exporter):
    """``churn/config.pbtxt`` and ``churn/1/model.onnx``."""

    name = "triton"

    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        if source.is_directory or source.loader != "onnx":
            raise ExportError(
                f"{source.version.reference} is no ONNX file: v.convert('models', format='onnx') makes one"
            )
        model = source.version.name.replace("/", "-")
        settings = f'name: "{model}"\nbackend: "onnxruntime"\n'
        (weights,) = source.files
        return Arrangement(
            [
                ExportFile(f"{model}/config.pbtxt", settings.encode()),
                ExportFile(f"{model}/1/model.onnx", source.local(weights), weights.sha256),
            ]
        )
