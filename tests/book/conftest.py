"""One browser for the page tests of a process."""

from collections.abc import Iterator

import pytest
from pages import launch
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield launch(playwright)
