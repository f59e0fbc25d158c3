"""How the pages are built: Sphinx, MyST Markdown, furo; no network."""

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from docutils.nodes import Element, TextElement
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

import modelregistry

project = "modelregistry"
version = release = modelregistry.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"modelregistry {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
exclude_patterns = ["changelog/*", "examples/*", "_build", "_made"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3  # pages may link to each other's headings, as on a Git host

nb_execution_mode = "force"  # a notebook is kept without what its cells give
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120  # seconds a cell
nb_merge_streams = True
nb_render_markdown_format = "gfm"  # with tables
suppress_warnings = ["mystnb.unknown_mime_type"]  # what JupyterLab draws, and a page passes over for the SVG

# The pages that show what the library makes of a project, and what is open until the build is done.
SHOWING = {"index", "tutorial/tour", "how-to/ask-where-a-model-came-from"}
EXAMPLE_URL = "https://git.example.com/clinic/models.git"
AROUND = ExitStack()

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# No inventories are fetched, so only our own names are held to have a target.
nitpick_ignore_regex = [("py:.*", r"(?!modelregistry\.).*")]
# Type variables have no page, and neither has what draws objects for people.
nitpick_ignore = [
    *(("py:class", f"modelregistry.plugins.{name}T") for name in ("Loader", "Exporter")),
    ("py:class", "modelregistry.display.shown.Shown"),
    ("py:class", "modelregistry.display.picture.Box"),
]


def to_the_public_name(
    app: Sphinx, env: BuildEnvironment, node: Element, content: TextElement
) -> Element | None:
    """Type hints name the defining module; the reference documents the name that callers import."""
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    if not target.startswith("modelregistry.") or name not in modelregistry.__all__:
        return None
    domain = env.get_domain("py")
    page = node.get("refdoc", env.docname)
    return domain.resolve_xref(env, page, app.builder, "obj", f"modelregistry.{name}", node, content)


def show(app: Sphinx, _: BuildEnvironment, docnames: list[str]) -> None:
    """What pages that are read show is made anew, by the code that they describe."""
    if not SHOWING & set(docnames):
        return
    sys.path[:0] = [str(app.srcdir), str(app.srcdir / "examples")]
    from gallery import apart, draw, fill
    from trained import train

    place = AROUND.enter_context(tempfile.TemporaryDirectory(prefix="modelregistry-docs-"))
    AROUND.enter_context(apart(Path(place)))
    train(Path(place, "tour"))
    shutil.copytree(Path(place, "tour"), Path(place, "shown"), symlinks=True)
    os.environ["TOUR"] = f"{place}/tour"  # where the notebook goes on
    registry = fill(Path(place, "shown"))
    draw(registry, Path(app.srcdir, "_made"))
    registry.export_site(Path(app.outdir, "catalogue"), title="Models of the clinic", url=EXAMPLE_URL)


def outdated(app: Sphinx, *_: object) -> list[str]:
    """Pages show something else, it may be, when the code is newer than what they show."""
    top = Path(app.srcdir).parent
    sources = [
        *top.glob("modelregistry/**/*.py"),
        *top.glob("modelregistry/site/templates/*"),
        *top.glob("docs/examples/**/*"),
    ]
    shown = top / "docs" / "_made" / "trend.svg"
    newest = max(path.stat().st_mtime for path in sources)
    return [] if shown.exists() and shown.stat().st_mtime > newest else sorted(SHOWING)


def leave(app: Sphinx, exception: Exception | None) -> None:
    """The project of the tour was needed while pages were read; nothing that was made tells where it was."""
    place = Path(os.environ.get("TOUR", "")).parent.name
    AROUND.close()
    if exception is None and place:
        made = (
            path
            for path in Path(app.outdir).rglob("*")
            if path.suffix in {".html", ".ipynb", ".json", ".svg"}
        )
        told = [path.name for path in made if place in path.read_text(encoding="utf-8")]
        if told:
            raise ExtensionError(f"the name of a temporary folder is in {', '.join(told)}")


def setup(app: Sphinx) -> None:
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", show)
    app.connect("build-finished", leave)
    app.connect("missing-reference", to_the_public_name)
