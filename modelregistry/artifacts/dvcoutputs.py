"""Which output of a commit is a path, by the DVC files of that commit."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from modelregistry.errors import InvalidFileError, PathNotFoundError
from modelregistry.git.objects import GitObject
from modelregistry.git.repo import GitRepo
from modelregistry.project.dvcfiles import Output, dvc_file_outputs, lock_outputs, out_lookup

_FEW_BYTES = 1 << 20
_MANY_BYTES = 8 << 20


def find_output(repo: GitRepo, rev: str, path: str) -> Output | None:
    """The output that is ``path`` or contains it; nearest files first, the whole commit only if need be.

    Raises:
        InvalidFileError: A file that may record it can't be read, or says what only DVC can work out.
        PathNotFoundError: ``path`` is no output, but a folder that holds some.
    """
    ancestors = [path]
    while ancestors[-1]:
        ancestors.append(posixpath.dirname(ancestors[-1]))
    names = [f"{folder}.dvc" for folder in ancestors[:-1]]
    for folder in ancestors[1:]:
        names += [posixpath.join(folder, "dvc.lock"), posixpath.join(folder, "dvc.yaml")]
    blobs = _read(repo, rev, [path, *names])
    here = blobs.pop(path, None)
    if here is not None and here.kind == "blob":
        return None  # plainly in Git, whatever a step says of it
    outputs, errors = _outputs(blobs)
    found = out_lookup(path, outputs)
    if found is None:
        listed = [file.path for file in repo.list_files(rev, ".") if file.path not in blobs]
        more = [name for name in listed if name.endswith(".dvc") or posixpath.basename(name) == "dvc.lock"]
        more += [f"{name[:-4]}yaml" for name in more if name.endswith("dvc.lock")]
        others, failures = _outputs(_read(repo, rev, more))
        outputs += others
        errors += [error for error in failures if here is None or error.path.startswith(f"{path}/")]
        found = out_lookup(path, outputs)
    if found is not None:
        return found if found.out.is_cached else None
    below = sorted(output.path for output in outputs if output.path and output.path.startswith(f"{path}/"))
    if below:
        raise PathNotFoundError(
            f"{path!r} is no output itself, it is a folder that holds {len(below)} (such as {below[0]!r}): "
            "name one of them, or track the folder as one with 'dvc add'"
        )
    if errors:
        raise errors[0]
    for output in outputs:
        if output.problem and posixpath.basename(output.out.path) in path.split("/"):
            raise InvalidFileError(f"{path!r} can't be found: {output.problem}", path=output.file)
    return None


def _read(repo: GitRepo, rev: str, names: Sequence[str]) -> dict[str, GitObject]:
    """The objects there are at ``names``, by name; blobs with their data."""
    found = dict(zip(names, repo.read([f"{rev}:{name}" for name in names], limit=_FEW_BYTES), strict=True))
    large = [name for name, blob in found.items() if blob and blob.data is None and _is_metadata(name)]
    if large:
        again = repo.read([f"{rev}:{name}" for name in large], limit=_MANY_BYTES)
        found |= dict(zip(large, again, strict=True))
    return {name: blob for name, blob in found.items() if blob is not None}


def _outputs(blobs: dict[str, GitObject]) -> tuple[list[Output], list[InvalidFileError]]:
    """What the metadata files among ``blobs`` record, ``*.dvc`` files first, and what is wrong with the others."""
    outputs: list[Output] = []
    errors: list[InvalidFileError] = []
    for name in sorted(blobs, key=lambda name: not name.endswith(".dvc")):
        blob = blobs[name]
        if blob.kind != "blob" or name.endswith("dvc.yaml"):
            continue
        try:
            if blob.data is None:
                raise InvalidFileError(f"{name!r} is larger than {_MANY_BYTES} bytes", path=name)
            if name.endswith(".dvc"):
                outputs += dvc_file_outputs(name, blob.data)
            else:
                plan = blobs.get(f"{name[:-4]}yaml")
                outputs += lock_outputs(name, blob.data, plan.data if plan else None)
        except InvalidFileError as error:
            errors.append(error)
    return outputs, errors


def _is_metadata(name: str) -> bool:
    return name.endswith(".dvc") or posixpath.basename(name) in ("dvc.lock", "dvc.yaml")
