"""One browser for the page tests of a process."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("whole")  # its asserts say what they compared

from pages import launch  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield launch(playwright)
