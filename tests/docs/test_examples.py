"""No example is there that nothing runs."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN_BY = {  # a test, a session, or the build of the pages
    "Dockerfile": "tests/docs/test_service.py",
    "bento_service.py": "tests/docs/test_bentoml.py",
    "demo.py": "noxfile.py",
    "folder_backend.py": "tests/conformance/test_example_backend.py",
    "load.py": "docs/examples/demo.py",
    "npz_loader.py": "tests/conformance/test_loaders.py",
    "predict.py": "docs/examples/demo.py",
    "project": "docs/examples/demo.py",
    "service.py": "tests/docs/test_service.py",
    "trained.py": "docs/conf.py",
    "triton_exporter.py": "tests/conformance/test_exporters.py",
}


def test_each_example_is_run() -> None:
    examples = (ROOT / "docs" / "examples").iterdir()
    assert {path.name for path in examples if path.name != "__pycache__"} == set(RUN_BY)
    for name, by in RUN_BY.items():
        assert Path(name).stem in (ROOT / by).read_text(encoding="utf-8"), f"{by} says nothing of {name}"
