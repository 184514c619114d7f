"""Fixtures for tests of pages, wherever they are: Debian's Chromium, driven by playwright.

`new_page(scheme)` opens a page and notes what goes wrong in it: errors of scripts, what its policy
refused, and requests to anywhere but a file or this machine. At the end there must be none.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]
NewPage = Callable[..., "Page"]
MISSING = "no Chromium on the path: install Debian's package chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One browser for the tests of a file. Where there is none, CI fails and others skip.

    It has an event loop in this thread as long as it is there, where no other one can run then.
    """
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def new_page(browser: "Browser") -> Iterator[NewPage]:
    wrong: list[str] = []
    contexts: list[Any] = []

    def make(scheme: Scheme = "light", width: int = 1200, height: int = 900) -> "Page":
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "console",
            lambda line: wrong.append(f"console: {line.text}") if line.type == "error" else None,
        )
        page.on("request", lambda request: wrong.extend(_outside(request.url)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def _outside(url: str) -> list[str]:
    parts = urlsplit(url)
    if parts.scheme in ("file", "data", "about", "blob") or parts.hostname == "127.0.0.1":
        return []
    return [f"request to {url}"]
