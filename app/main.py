"""The explorer's entry: ``streamlit run app/main.py``. A new page is one file and one line here."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:  # Streamlit puts this file's folder on the path, not the repository
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402

from app import compare, inside, leaderboard, position, retrieval  # noqa: E402

PAGES = [
    st.Page(compare.page, title="Compare models", url_path="compare", default=True),
    st.Page(inside.page, title="Look inside", url_path="inside"),
    st.Page(retrieval.page, title="Find candidates", url_path="retrieval"),
    st.Page(position.page, title="Position bias", url_path="position"),
    st.Page(leaderboard.page, title="Leaderboard", url_path="leaderboard"),
]

st.set_page_config(page_title="recsys-lite explorer", layout="wide")
st.html("<style>.stMainBlockContainer {padding-top: 3.5rem}</style>")
st.navigation(PAGES, position="top").run()
