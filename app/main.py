"""The explorer's entry, run anew for every visitor and every change: ``python -m app`` starts it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:  # Streamlit puts this file's folder on the path, not the repository
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402

from app import tour  # noqa: E402
from app.pages import PAGES  # noqa: E402

st.set_page_config(page_title="recsys-lite explorer", layout="wide")
st.html("<style>.stMainBlockContainer {padding-top: 4.25rem}</style>")
pages = {
    path: st.Page(module.page, title=title, url_path=path, default=path == "compare")
    for section in PAGES.values()
    for path, (module, title) in section.items()
}
chosen = st.navigation({name: [pages[path] for path in section] for name, section in PAGES.items()}, position="top")
tour.show(pages, next(path for path, page in pages.items() if page is chosen or page == chosen))
chosen.run()
