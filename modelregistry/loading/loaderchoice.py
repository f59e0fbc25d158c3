"""Which loader reads a file or folder: the one that is named, else the one that knows it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.base import Likeness, Loader, head

_FORMATS = (
    (b"PK\x03\x04", "a zip"),
    (b"\x80", "a pickle"),
    (b"\x1f\x8b", "gzip"),
    (b"BZ", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x78", "zlib"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89HDF", "HDF5"),
    (b"PAR1", "Parquet"),
    (b"GGUF", "GGUF"),
    (b"{", "JSON"),
)

_FRAMEWORKS: Mapping[str, tuple[str, ...]] = {
    "huggingface": ("transformers", "sentence-transformers"),
    "pytorch": ("torch",),
    "scikit-learn": ("skops", "joblib", "pickle"),
    "sklearn": ("skops", "joblib", "pickle"),
    "tensorflow": ("keras",),
}
"""The loaders of what a framework writes, where they are not called as it is."""

_MOST_FILES = 200
"""Files of a folder that are looked at; one with more is no model with a few words beside it."""
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """The loader that was chosen, and what it is to read."""

    loader: Loader
    path: Path
    """The whole artifact, or the one model in it."""
    around: Loader | None = None
    """The loader of the folder around it, which can describe the model too."""


def wanted_loader(meta: Mapping[str, object]) -> str | None:
    """The loader that ``meta:`` in ``dvc.yaml`` asks for (``meta: {loader: skops}``).

    Raises:
        UnknownFormatError: What it says is no name.
    """
    loader = meta.get("loader")
    if loader is not None and not isinstance(loader, str):
        raise UnknownFormatError(f"dvc.yaml says meta: loader: {loader!r}; it must be the name of a loader")
    return loader


def hinted_framework(meta: Mapping[str, object]) -> str | None:
    """The framework that ``meta:`` in ``dvc.yaml`` mentions (``meta: {framework: sklearn}``): a hint, whatever it says."""
    framework = meta.get("framework")
    return framework if isinstance(framework, str) else None


def choose(
    path: Path,
    name: str,
    loaders: Sequence[Loader],
    *,
    wanted: str | None = None,
    framework: str | None = None,
) -> Choice:
    """The loader for an artifact.

    Of a folder that nobody knows as a whole, the one file in it that somebody knows is the model.

    Args:
        path: Where its bytes lie.
        name: What it is called in the repository.
        loaders: The loaders to choose from.
        wanted: The name of the one to take, whatever the artifact looks like.
        framework: Of those that know it, the loaders of this framework go first; an unknown one says nothing.

    Raises:
        UnknownFormatError: No loader, or more than one, knows it; or none is called as wanted.
    """
    if wanted is not None:
        loader = _named(wanted, loaders)
        known = _known(path, name, [loader], None)
        return known[0] if len(known) == 1 else Choice(loader, path)
    match _known(path, name, loaders, framework):
        case [only]:
            return _unwrapped(only, loaders)
        case []:
            problem = f"no loader recognises {name!r}, which {_looks_like(path)}"
        case several:
            claims = (_claim(choice, path) for choice in several[:_SHOWN])
            problem = f"{' and '.join(claims)} each recognise {name!r}, which {_looks_like(path)}"
    raise UnknownFormatError(
        f"{problem}; if one of these loaders fits, name it with loader= or meta: in dvc.yaml: {_listed(loaders)}; "
        'loader="path" gives the path of anything, and register_loader() adds a loader'
    )


def _named(wanted: str, loaders: Sequence[Loader]) -> Loader:
    for loader in loaders:
        if loader.name == wanted:
            return loader
    raise UnknownFormatError(
        f"no loader is called {wanted!r}, which loader= or meta: in dvc.yaml asks for; there are: {_listed(loaders)}"
    )


def _listed(loaders: Sequence[Loader]) -> str:
    return ", ".join(repr(loader.name) for loader in loaders) or "none"


def _known(path: Path, name: str, loaders: Sequence[Loader], framework: str | None) -> list[Choice]:
    """What the artifact may be: of the whole, and else of each file in it, what sees the strongest likeness."""
    seen = _seen(path, name, loaders)
    if path.is_dir() and not any(likeness is Likeness.MARKER for likeness, _ in seen):
        whole = {choice.loader for _, choice in seen}
        for file in _files(path):
            seen += (each for each in _seen(file, file.name, loaders) if each[1].loader not in whole)
    preferred = _of_framework(framework)
    seen = [each for each in seen if each[1].loader.name in preferred] or seen
    strongest: dict[Path, Likeness] = {}
    for likeness, choice in seen:
        strongest[choice.path] = max(likeness, strongest.get(choice.path, likeness))
    return [choice for likeness, choice in seen if likeness == strongest[choice.path]]


def _seen(path: Path, name: str, loaders: Sequence[Loader]) -> list[tuple[Likeness, Choice]]:
    return [
        (likeness, Choice(loader, path)) for loader in loaders if (likeness := loader.recognises(path, name))
    ]


def _of_framework(framework: str | None) -> tuple[str, ...]:
    if framework is None:
        return ()
    name = framework.strip().lower().replace("_", "-")
    return _FRAMEWORKS.get(name, (name,))


def _files(folder: Path) -> list[Path]:
    """The files that lie in the folder, unless they are very many."""
    entries = list(
        islice((path for path in folder.iterdir() if not path.name.startswith(".")), _MOST_FILES + 1)
    )
    return sorted(path for path in entries if path.is_file()) if len(entries) <= _MOST_FILES else []


def _unwrapped(chosen: Choice, loaders: Sequence[Loader]) -> Choice:
    """The loader of the model that the chosen one only wraps, where it is known for sure."""
    part = chosen.loader.part(chosen.path)
    if part is None:
        return chosen
    others = [loader for loader in loaders if loader is not chosen.loader]
    match _known(part, part.name, others, None):
        case [only]:
            return Choice(only.loader, only.path, around=chosen.loader)
        case _:
            return chosen


def _claim(choice: Choice, whole: Path) -> str:
    return f"{choice.loader.name!r}{'' if choice.path == whole else f' ({choice.path.name!r} in it)'}"


def _looks_like(path: Path) -> str:
    if path.is_dir():
        names = sorted(entry.name for entry in islice(path.iterdir(), _MOST_FILES))
        more = ", …" if len(names) > _SHOWN else ""
        return f"is a folder of {', '.join(map(repr, names[:_SHOWN])) or 'nothing'}{more}"
    begin = head(path, 8)
    if not begin:
        return "is empty"
    for mark, format_ in _FORMATS:
        if begin.startswith(mark):
            return f"starts like {format_}"
    return f"starts with {begin!r}"
