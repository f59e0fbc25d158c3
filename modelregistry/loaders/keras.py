"""Keras's own format, its configuration held to an exact list of classes."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, cast

from modelregistry.loaders import zips
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
    is_of,
)

_CONFIG, _METADATA = "config.json", "metadata.json"
_MOST = 64 << 20
"""Bytes of the configuration."""

_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
"""What Keras writes as if it were a class, and is none."""

_LAYERS = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
    AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D
    Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Flatten GRU
    GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing
    Hashing Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D
    MaxPooling3D Maximum MelSpectrogram Minimum MultiHeadAttention Multiply Normalization PReLU Permute
    RMSNormalization RNN RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation
    RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
    SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling Zeros
"""
_ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign sparse_plus sparsemax soft_shrink squareplus
    swish tanh tanh_shrink threshold
"""
_LISTED: Mapping[str, frozenset[str]] = {
    "builtins": frozenset(_ACTIVATIONS.split()),
    "keras": frozenset({"DTypePolicy", "FloatDTypePolicy", "Model", "Sequential"}),
    "keras.activations": frozenset(_ACTIVATIONS.split()),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.dtype_policies": frozenset({"DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy"}),
    "keras.initializers": frozenset(_INITIALIZERS.split()),
    "keras.layers": frozenset(_LAYERS.split()),
    "keras.models": frozenset({"Model", "Sequential"}),
    "keras.random": frozenset({"SeedGenerator"}),
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.random.seed_generator": frozenset({"SeedGenerator"}),
}
"""What a model may be built of without the caller's word: reviewed one by one, as each addition must be."""
_OPERATIONS = frozenset(f"keras.src.ops.{each}" for each in ("image", "linalg", "math", "nn", "numpy"))
"""Modules whose operations, all of them, are functions of arrays and nothing else."""
_CODE = frozenset(
    {"__lambda__", "__typespec__"}
    | {
        f"keras.layers.{each}"
        for each in ("FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper")
    }
)
"""What holds code of its own."""


class KerasLoader(Loader):
    """The ``.keras`` files of Keras 3."""

    name: ClassVar[str] = "keras"
    suffixes: ClassVar[tuple[str, ...]] = (".keras",)
    library: ClassVar[str] = "keras"
    requires: ClassVar[str] = "keras>=3.13.2"  # before, a file's weights could be read from other files
    extra: ClassVar[str] = "keras"
    distributions: ClassVar[tuple[str, ...]] = ("keras",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether it is a zip with Keras's members, or is called so."""
        marked = zips.members(path) >= {_CONFIG, _METADATA}
        return Likeness.MAGIC if marked else self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """The classes and functions outside the list, none of them resolved.

        Raises:
            UnknownFormatError: The file is malformed.
        """
        named = {name for name, _ in self._asked(path)}
        tier = Tier.CODE if named & _CODE else Tier.NAMED if named else Tier.CONFINED
        return Inspection(tier, tuple(sorted(named)))

    def describe(self, path: Path) -> Description:
        """The version of Keras that wrote it.

        Raises:
            UnknownFormatError: The file is malformed.
        """
        version = self._member(path, _METADATA).get("keras_version")
        return Description(packages={"keras": version} if isinstance(version, str) else {})

    def load(self, path: Path, permit: Permit) -> object:
        """The model, to predict with: not compiled, so that it asks for no loss or optimizer.

        Raises:
            UntrustedNamesError: It is built of what is neither listed nor permitted.
            UnknownFormatError: The file is malformed.
            MissingDependencyError: Keras is not installed, or no backend for it.
        """
        asked = self._asked(path)
        outside = {name for name, _ in asked} if not permit.code else set[str]()
        if outside & _CODE or not permit.names >= outside:
            raise UntrustedNamesError(tuple(sorted(outside - permit.names | outside & _CODE)))
        with self.importing():
            import keras
        with self.reading(path), tempfile.TemporaryDirectory() as folder:
            named = {registered: _found(name) for name, registered in asked if name in outside}
            # Keras judges a file by its suffix, and may unpack it beside where it lies.
            link = Path(folder, "model.keras")
            link.symlink_to(path.resolve())
            model: object = keras.saving.load_model(
                link, custom_objects=named, compile=False, safe_mode=not permit.code
            )
        return model

    def saves(self, model: object) -> bool:
        """Models of Keras 3."""
        return is_of(model, "keras", "Model")

    def save(self, model: object, path: Path) -> None:
        """Write it."""
        trained: Any = model
        trained.save(path)

    def _asked(self, path: Path) -> set[tuple[str, str]]:
        """What the configuration names and nobody here vouches for, and as what it was registered."""
        config = self._member(path, _CONFIG)
        config["compile_config"] = None
        with self.reading(path):
            return set(_outside(config))

    def _member(self, path: Path, name: str) -> dict[str, Any]:
        self.check_file(path)
        zips.check(path)
        with self.reading(path), zipfile.ZipFile(path) as archive, archive.open(name) as file:
            found = json.loads(file.read(_MOST))
            if not isinstance(found, dict):
                raise TypeError(f"{name} is no object")
            return cast("dict[str, Any]", found)


def _outside(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _outside(item)
    elif isinstance(value, dict):
        value = cast("dict[str, object]", value)
        if "class_name" in value and "config" in value:
            yield from _named(value)
        for item in value.values():
            yield from _outside(item)


def _named(value: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    class_, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
    name = value["config"] if class_ == "function" else class_
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise TypeError("a class without a name")
    listed = name in _LISTED.get(module or "", ()) or module in _OPERATIONS
    # What is registered under another name comes before what Keras calls so.
    if name not in _VALUES and not (listed and registered in {None, name}):
        full = f"{module}.{name}" if module and name not in _CODE else name
        yield full, registered if isinstance(registered, str) else name


def _found(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)
