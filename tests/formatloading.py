"""What `load_model` does once bytes are verified, for tests of formats."""

from pathlib import Path

from modelregistry.loading.deserialize import deserialize
from modelregistry.plugins import loaders_for
from modelregistry.trust.trust import Trust, Vouching


def load(
    path: Path,
    *,
    name: str | None = None,
    trust: object = None,
    loader: str | None = None,
    framework: str | None = None,
) -> object:
    called = name or path.name
    return deserialize(
        path,
        called,
        digest="sha256:" + "ab" * 32,
        reference="model@v1.0.0",
        loaders=loaders_for(path, called, loader),
        loader=loader,
        framework=framework,
        trust=Vouching(Trust.parse(trust)),  # type: ignore[arg-type]
    )
