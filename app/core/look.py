"""The explorer's rules of style, given to the browser before it draws anything: what it had drawn would move."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import streamlit as st
from streamlit import file_util

CSS = " ".join(Path(__file__).with_suffix(".css").read_text(encoding="utf-8").split())
TITLE = "recsys-lite explorer"


def rules() -> None:
    """The rules on a page, for a server that :func:`serve` did not prepare; their element takes no room."""
    st.markdown(f"<style>{CSS}</style>", unsafe_allow_html=True)


def index(html: str) -> str:
    """Streamlit's first page with the rules in its head, and with our title.

    Example:
        >>> page = index("<head><title>Streamlit</title></head>")
        >>> page.startswith("<head><title>recsys-lite explorer</title><style>"), page.endswith("</style></head>")
        (True, True)
    """
    return html.replace("<title>Streamlit</title>", f"<title>{TITLE}</title>").replace(
        "</head>", f"<style>{CSS}</style></head>", 1
    )


def serve() -> Path | None:
    """Let the server send the first page with the rules in it: all else is Streamlit's own, by links to its folder.

    Returns:
        the folder it serves, or nothing where the system allows no links; then :func:`rules` come with the page.
    """
    own = Path(file_util.get_static_dir())
    folder = Path(tempfile.mkdtemp(prefix="recsys-lite-explorer-"))
    try:
        for path in own.iterdir():
            if path.name == "index.html":
                (folder / path.name).write_text(index(path.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                (folder / path.name).symlink_to(path, target_is_directory=path.is_dir())
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    file_util.get_static_dir = lambda: str(folder)
    return folder
