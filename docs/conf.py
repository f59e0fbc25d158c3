"""How the pages are built: Sphinx, MyST Markdown, furo; no network."""

import sys
from pathlib import Path

from docutils.nodes import Element, TextElement
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import modelregistry

project = "modelregistry"
version = release = modelregistry.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"modelregistry {release}"
exclude_patterns = ["changelog/*", "examples/*", "_build", "_made"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3  # pages may link to each other's headings, as on a Git host

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# No inventories are fetched, so only our own names are held to have a target.
nitpick_ignore_regex = [("py:.*", r"(?!modelregistry\.).*")]
# A type variable has no page.
nitpick_ignore = [("py:class", f"modelregistry.plugins.{name}T") for name in ("Loader", "Exporter")]


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


def draw_pictures(app: Sphinx) -> None:
    """The pictures of lineages are made by the code that the pages describe, whenever that is newer."""
    docs = Path(app.srcdir)
    made = docs / "_made"
    pictures = [made / "lineage.svg", made / "difference.svg"]
    sources = [*docs.parent.glob("modelregistry/**/*.py"), *docs.glob("examples/**/*")]
    newest = max(path.stat().st_mtime for path in sources)
    if not all(picture.exists() and picture.stat().st_mtime > newest for picture in pictures):
        sys.path.insert(0, str(docs / "examples"))
        from picture import draw

        draw(made)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", draw_pictures)
    app.connect("missing-reference", to_the_public_name)
