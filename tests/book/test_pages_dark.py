"""Every page of the built book, in dark colours."""

import pytest
from playwright.sync_api import Browser
from whole import ALL, check

pytestmark = pytest.mark.slow("builds the book and opens its pages in a browser")


@pytest.mark.parametrize("name", ALL)
def test_page_is_whole(browser: Browser, name: str) -> None:
    check(browser, name, "dark")
