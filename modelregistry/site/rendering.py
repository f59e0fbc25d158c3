"""The templates of a site: the one door to Jinja2 and to markdown-it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from modelregistry.display.svg import rules
from modelregistry.errors import MissingDependencyError

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MOST_MARKDOWN = 200_000
"""Characters of one text that are set as Markdown; what is longer is shown as it is."""
EXPLORED = "a version whose lineage is explored"
_LISTS = (("site.css", "lists.css"), ("lists.js",))
_DRESS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "index.html": _LISTS,
    "audit.html": _LISTS,
    "model.html": (("site.css", "lists.css"), ("lists.js", "copy.js")),
    "version.html": (("site.css", "lineage.css"), ("copy.js",)),
    EXPLORED: (("site.css", "lineage.css"), ("copy.js", "lineage.js")),
}
"""What each kind of page has of style and script: there are many pages, and none carries what it does not use."""
_TAKE_PART = ("jinja2", "markdown-it-py", "markupsafe")


class Templates:
    """Fills in the templates that come with this package; whatever it is given is text, never HTML.

    Raises:
        MissingDependencyError: Jinja2 or markdown-it is not installed.
    """

    def __init__(self) -> None:
        try:
            import jinja2
            from markdown_it import MarkdownIt
            from markupsafe import Markup
        except ImportError as error:
            raise MissingDependencyError(
                "a site is made with Jinja2 and markdown-it-py: pip install 'modelregistry[site]'"
            ) from error
        self._markup = Markup
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("modelregistry.site", "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=_clean,
            auto_reload=False,
        )
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
        self.markdown = lru_cache(maxsize=256)(self._render_markdown)
        self._dress = {
            template: self._dressed(styles, scripts) for template, (styles, scripts) in _DRESS.items()
        }

    @cached_property
    def made_by(self) -> str:
        """What tells what this fills in from what another version of anything that takes part would."""
        digest = hashlib.sha256(" ".join(map(version, _TAKE_PART)).encode())
        for name, data in _sources(files("modelregistry"), ""):
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    def render(self, template: str, *, dress: str | None = None, **values: Any) -> str:
        """A page, with the style and the script of its kind, or of another."""
        found = self._environment.get_template(template)
        page: str = found.render({**self._dress[dress or template], **values})
        return page

    def drawn(self, svg: str) -> Any:
        """A picture of ours, in which strangers' text is escaped, as a part of a page."""
        return self._markup(svg)

    def _dressed(self, styles: Sequence[str], scripts: Sequence[str]) -> dict[str, Any]:
        """The style and the script that a page has within it, and the policy that allows no other."""
        style = "".join(_shipped(name) for name in styles)
        script = "".join(_shipped(name) for name in scripts)
        if "lineage.css" in styles:
            style += rules()
        policy = (
            f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )
        return {"style": self._markup(style), "script": self._markup(script), "policy": policy}

    def _render_markdown(self, text: str) -> Any:
        """Markdown as HTML: HTML in it is shown and not obeyed, and links lead to pages only."""
        if len(text) > _MOST_MARKDOWN:
            return text
        return self._markup(self._markdown.render(_clean(text)))


def picture(svg: str) -> str:
    """An SVG as an address for ``<img>``: there, no script in it would run, and its style is its own."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode('utf-8', 'replace')).decode()}"


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    """All that this package is made of: what a page says comes from many of its files."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{path}/{item.name}"
        if item.is_dir():
            yield from _sources(item, name)
        elif name.endswith((".py", ".html", ".css", ".js")):
            yield name, item.read_bytes()


def _shipped(name: str) -> str:
    """A file of ours, without the spaces that make it easy to read: each page has it."""
    text = files("modelregistry.site").joinpath("templates", name).read_text("utf-8")
    return "".join(f"{line.strip()}\n" for line in text.splitlines())


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _clean(value: Any) -> Any:
    """Text without what no page may hold; the rest as it is."""
    if isinstance(value, str) and not value.isprintable() and not hasattr(value, "__html__"):
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    return value
