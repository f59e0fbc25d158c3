"""Everything that is checked, each in a virtual environment of its own: `python -m nox -l` lists it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")

BENTOML = "tests/docs/test_bentoml.py"

nox.options.default_venv_backend = "uv|venv"  # where uv is not installed, Python itself will do
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False  # only tests-3.x ask for one
nox.options.sessions = ["lint", "types", "tests", "torch", "docs", "demo", "package"]


def scratch(session: nox.Session, name: str) -> Path:
    """A fresh place in the session's environment.

    Not `session.create_tmp()`: it moves TMPDIR into the checkout, and a test's folder must not lie in a repository.
    """
    place = Path(session.bin).resolve().parent / "scratch" / name
    shutil.rmtree(place, ignore_errors=True)
    return place


def isolate(session: nox.Session) -> None:
    """Keep the developer's own settings of Git, DVC and Python out of the session."""
    session.env.update(
        DVC_NO_ANALYTICS="1",
        DVC_SITE_CACHE_DIR=str(scratch(session, "dvc")),
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_NOSYSTEM="1",
        # Hundreds of processes would each compile every library that they import: uv leaves that to the first import.
        PYTHONDONTWRITEBYTECODE=None,
    )


def install(session: nox.Session, *groups: str, extras: str = "[sklearn,skops]") -> None:
    """Install the package, editable, and dependency groups."""
    session.install("-e", f".{extras}", *nox.project.dependency_groups(PYPROJECT, *groups))


def run_tests(session: nox.Session) -> None:
    """Run the tests (arguments go to pytest: `nox -s tests -- --cov -k promote`)."""
    isolate(session)
    install(session, "test")
    # Others run what needs more: the docs tools, strace, a browser, a kernel of Jupyter, the libraries of further formats, MLflow, a registry of containers.
    elsewhere = [
        f"--ignore=tests/{folder}"
        for folder in ("docs", "crash", "formats", "mlflow", "containers", "browser", "notebooks")
    ]
    # A few tests take minutes: dealt out by the dozen, none waits in a queue behind them while the other core idles.
    session.run("pytest", "-n", "2", "--maxschedchunk=12", *elsewhere, *session.posargs)


nox.session(name="tests")(run_tests)
for version in nox.project.python_versions(PYPROJECT):
    nox.session(name=f"tests-{version}", python=version, default=False)(run_tests)


@nox.session(venv_backend="venv")  # where to look for a PyTorch without CUDA is pip's own setting
def torch(session: nox.Session) -> None:
    """Run the tests of PyTorch's formats."""
    isolate(session)
    install(session, "torch", extras="")
    session.run("pytest", "tests/formats/test_torch.py", *session.posargs)


@nox.session(default=False, venv_backend="venv")
def formats(session: nox.Session) -> None:
    """Run the tests of every format, with the library that writes it: two and a half gigabytes."""
    isolate(session)
    install(session, "formats", extras="")
    session.run("pytest", "tests/formats", *session.posargs)


@nox.session(default=False)
def mlflow(session: nox.Session) -> None:
    """Bring a real MLflow registry here, and have MLflow load what is exported for it: several minutes."""
    isolate(session)
    install(session, "mlflow", extras="")
    session.run("pytest", "-n", "2", "tests/mlflow", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Kill and fail a write at each of its system calls (needs Debian's strace; `nox -s crash -- -k promote`)."""
    isolate(session)
    install(session, "test")
    # -rP: what they print, which -s does not show of more than one process.
    session.run("pytest", "-n", "2", "-rP", "--timeout=0", "tests/crash", *session.posargs)


@nox.session(default=False)
def containers(session: nox.Session) -> None:
    """Push to a real registry of containers (needs Debian's docker-registry)."""
    isolate(session)
    install(session, "containers", extras="")
    session.run("pytest", "tests/containers", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """Use a site in a browser (needs Debian's chromium)."""
    isolate(session)
    install(session, "browser", extras="[site]")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(default=False)
def notebooks(session: nox.Session) -> None:
    """Execute a notebook, make a page of it, and look at that in a browser (needs Debian's chromium)."""
    isolate(session)
    install(session, "notebooks", extras="[pandas,polars]")
    session.run("pytest", "tests/notebooks", *session.posargs)


def run_long(session: nox.Session, sizes: dict[str, str], *arguments: str) -> None:
    """Run tests in these sizes, where the environment does not say others, and show their figures."""
    isolate(session)
    install(session, "test")
    session.env.update({name: os.environ.get(name, size) for name, size in sizes.items()})
    session.run("pytest", "-rP", "--timeout=0", *arguments, *session.posargs)  # -rP: what they print


@nox.session(default=False)
def race(session: nox.Session) -> None:
    """Let many write at once, in clones of one hub and in databases, and hold the log and every read to what is promised."""
    run_long(
        session,
        {"MODELREGISTRY_RACE": "16x200", "MODELREGISTRY_SQL_RACE": "32x100"},
        *("tests/integration/test_races.py", "tests/integration/test_sql_races.py"),
    )


@nox.session(default=False)
def fetch(session: nox.Session) -> None:
    """Let eight processes fetch one large model from S3, and kill fetches at many moments and at each of their steps."""
    run_long(
        session,
        {"MODELREGISTRY_FETCH": "500", "MODELREGISTRY_FETCH_KILLS": "200"},
        *("-k", "eight_processes or kill"),
        *("tests/integration/test_s3.py", "tests/integration/test_fetching.py"),
    )


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Draw odd tags, odd names, sequences of calls and moments of death (`nox -s fuzz -- -k killed`)."""
    run_long(
        session,
        {"MODELREGISTRY_FUZZ": "100000", "MODELREGISTRY_KILLS": "1000", "MODELREGISTRY_MACHINE": "500x50"},
        *("-n", "2", "--hypothesis-show-statistics"),
        *(f"tests/property/test_{name}.py" for name in ("tags", "names_and_git", "odd_tags_in_git")),
        *(f"tests/integration/test_{name}.py" for name in ("state_machine", "crashes", "sql_crashes")),
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling, declared dependencies and the direction of every import."""
    # The package too: deptry asks the installed dependencies what they provide.
    install(session, "lint", extras="")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("codespell")
    session.run("deptry", "modelregistry", silent=True)  # it guesses aloud; a failure is still printed


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy --strict inside, pyright on what a caller sees."""
    install(session, "types", extras="[sklearn,skops,site,sql,testing]")
    session.run("mypy")
    if Path("tests/typing").exists():
        session.run("mypy", "tests/typing")
        session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages, warnings being errors, and run the Python blocks in them."""
    isolate(session)
    install(session, "docs")
    html = str(scratch(session, "html"))
    session.run("sphinx-build", "-q", "-W", "-n", "--keep-going", "docs", html)
    # BentoML has a session of its own.
    session.run("pytest", "-n", "2", "tests/docs", f"--ignore={BENTOML}", *session.posargs)


@nox.session(default=False)
def bentoml(session: nox.Session) -> None:
    """Serve the example of a BentoML service by BentoML: some 80 packages more."""
    isolate(session)
    install(session, "bentoml")
    session.run("pytest", BENTOML, *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration: a registry from nothing, in a temporary folder."""
    isolate(session)
    install(session)
    session.run("python", "docs/examples/demo.py", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure (arguments go to the benchmark: `nox -s bench -- --quick`)."""
    isolate(session)
    install(session, "bench")
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Change the rules and the writer in one place at a time: do the tests notice? (`nox -s mutants -- --part rules`)."""
    isolate(session)
    install(session, "mutants")
    place = (
        Path(session.bin).resolve().parent / "mutants"
    )  # what was found is kept: `--report` shows it again
    session.run("python", "-m", "tests.mutants", str(place), *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build, check what was built, and import the wheel where no extra is installed."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "package"))
    dist, fresh = scratch(session, "dist"), scratch(session, "fresh")
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    (wheel,) = dist.glob("*.whl")
    session.run("check-wheel-contents", str(wheel))

    session.run("python", "-m", "venv", str(fresh))
    python = str(fresh / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", str(wheel), external=True)
    check = (
        "import modelregistry; from importlib.resources import files; "
        "assert files(modelregistry).joinpath('py.typed').is_file(), 'py.typed is missing'; "
        "assert files(modelregistry).joinpath('site', 'templates', 'site.css').is_file(), 'the templates are missing'; "
        "print(f'modelregistry {modelregistry.__version__} imports from {modelregistry.__file__}')"
    )
    # Away from the checkout, so that only the wheel can be what is imported.
    with session.chdir(dist):
        session.run(python, "-c", check, external=True)
