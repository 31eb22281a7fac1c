"""Rules of style for a page, put where the browser has them with the first text that it draws."""

from __future__ import annotations

import streamlit as st


def rules(css: str) -> None:
    """Add CSS to the page.

    As Markdown, since ``st.html`` reaches the browser in a part that it loads later: what had been drawn by then would
    move. The element that holds the rules takes no room.
    """
    st.markdown(f"<style>{' '.join(css.split())}</style>", unsafe_allow_html=True)
