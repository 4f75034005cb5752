"""Pages in a real browser: Debian's Chromium, driven by playwright."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Opener = Callable[..., tuple[Any, list[str]]]  # width, dark, offline -> the page, and what its console complains of


@pytest.fixture
def chromium() -> Iterator[Opener]:
    """Return what opens an empty page of Chromium; skip where it, or playwright, is absent."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the PATH (Debian's package chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])

        def view(width: int = 1280, dark: bool = False, offline: bool = True) -> tuple[Any, list[str]]:
            colours = "dark" if dark else "light"
            context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=colours)
            context.set_offline(offline)
            page, errors = context.new_page(), list[str]()
            page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            return page, errors

        yield view
        browser.close()
