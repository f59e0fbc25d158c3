"""A page in a browser that may read the disk and nothing else."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, Page


class Watched:
    """A page that may read the disk and nothing else, and must have nothing to complain of."""

    def __init__(self, context: BrowserContext, site: Path) -> None:
        self.site = site
        self.odd: list[str] = []
        context.route(
            "**/*", lambda route: route.abort() if self._leaves(route.request.url) else route.continue_()
        )
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.odd.append(message.text))
        self.page.on("pageerror", lambda error: self.odd.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.odd.append("a dialog"), dialog.dismiss()))

    def _leaves(self, url: str) -> bool:
        leaves = not url.startswith(("file://", "data:"))
        if leaves:
            self.odd.append(url)
        return leaves

    def open(self, name: str) -> Page:
        """A page of the site."""
        self.page.goto((self.site / name).as_uri())
        return self.page

    def rows(self, table: str) -> list[str]:
        """What the rows of a table that can be seen begin with."""
        return self.page.locator(
            f"#{table} > tbody > tr:visible > :is(th, td) > a:first-child"
        ).all_inner_texts()
