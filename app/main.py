"""The explorer's frame: navigation and tour around the page that is shown."""

from __future__ import annotations

from typing import Any

import streamlit as st

from .core import controls
from .core.look import TITLE, rules
from .pages import PAGES
from .parts import notices, tour

FIRST = "compare"  # the page of an address without a path


def _first() -> None:
    """The first page under its own name, too: Streamlit serves the default page without one only."""
    PAGES[""][FIRST][0].page()


def main() -> None:
    """Everything that a visitor sees; runs anew for every visitor and every change."""
    st.set_page_config(page_title=TITLE, layout="wide")
    rules()
    pages = {
        path: st.Page(module.page, title=title, url_path="start" if path == FIRST else path, default=path == FIRST)
        for section in PAGES.values()
        for path, (module, title) in section.items()
    }
    listed: dict[str, list[Any]] = {name: [pages[path] for path in section] for name, section in PAGES.items()}
    again = st.Page(_first, title=PAGES[""][FIRST][1], url_path=FIRST, visibility="hidden")  # it has two addresses
    listed[""].append(again)
    st.session_state[controls.PAGES] = pages
    chosen = st.navigation(listed, position="top")
    here = next((path for path, page in pages.items() if page is chosen or page == chosen), FIRST)
    controls.follow(here)
    tour.show(pages, here)
    notice = st.container()
    chosen.run()
    if wrong := controls.problems():
        notices.address(wrong, notice)
