"""DVC projects whose bytes are in a remote and nowhere else: what `dvc add` and `dvc push` would have left, in no time."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.integration.projects import commit, init, write

Files = Mapping[str, bytes]


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that are the same each time, and not twice the same."""
    choose = random.Random(seed)
    step = 1 << 26  # it can't give very many at once
    return b"".join(choose.randbytes(min(step, size - at)) for at in range(0, size, step))


def object_name(data: bytes, *, listing: bool = False) -> str:
    """Where DVC keeps bytes, below the top of a cache or of a remote."""
    md5 = hashlib.md5(data).hexdigest()
    return f"files/md5/{md5[:2]}/{md5[2:]}{'.dir' if listing else ''}"


def listing_of(files: Files) -> bytes:
    """What DVC writes down of a folder."""
    rows = [{"md5": hashlib.md5(files[path]).hexdigest(), "relpath": path} for path in sorted(files)]
    return json.dumps(rows, sort_keys=True).encode()


def objects_of(models: Iterable[bytes | Files]) -> dict[str, bytes]:
    """Every object of the models, by where it is kept."""
    found: dict[str, bytes] = {}
    for model in models:
        if isinstance(model, bytes):
            found[object_name(model)] = model
        else:
            found |= {object_name(data): data for data in model.values()}
            found[object_name(listing_of(model), listing=True)] = listing_of(model)
    return found


def track(root: Path, path: str, model: bytes | Files) -> None:
    """Write the `.dvc` file of a model that is not here."""
    data = model if isinstance(model, bytes) else listing_of(model)
    kind = "" if isinstance(model, bytes) else ".dir"
    size = len(data) if isinstance(model, bytes) else sum(map(len, model.values()))
    count = "" if isinstance(model, bytes) else f"  nfiles: {len(model)}\n"
    md5 = hashlib.md5(data).hexdigest()
    write(
        root / f"{path}.dvc",
        f"outs:\n- md5: {md5}{kind}\n  size: {size}\n{count}  hash: md5\n  path: {Path(path).name}\n",
    )


def make_project(root: Path, remote: Mapping[str, str], models: Mapping[str, bytes | Files]) -> Path:
    """A committed project with a model for each path, named as that is without its suffix.

    Args:
        root: Where it comes to be.
        remote: The options of its default remote.
        models: What each path was when it was added.
    """
    init(root)
    options = "".join(f"    {key} = {value}\n" for key, value in remote.items())
    write(root / ".dvc" / "config", f"[core]\n    remote = storage\n['remote \"storage\"']\n{options}")
    write(root / ".dvc" / ".gitignore", "/config.local\n/tmp\n/cache\n")
    entries = "".join(f"  {Path(path).stem}: {{path: {path}, type: model}}\n" for path in models)
    write(root / "dvc.yaml", f"artifacts:\n{entries}")
    for path, model in models.items():
        track(root, path, model)
    write(root / ".gitignore", "".join(f"/{path}\n" for path in models))
    commit(root, "models")
    return root


def fill(folder: Path, models: Iterable[bytes | Files]) -> None:
    """Put every object of the models into a folder that is a cache or a remote."""
    for name, data in objects_of(models).items():
        write(folder / name, data).chmod(0o444)
