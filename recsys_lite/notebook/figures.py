"""Showing figures, tables, drawings and tabs in a chapter: the same call in the built book, in Jupyter and in Colab.

With ``RECSYS_LITE_STATIC=1`` in the environment (set by ``tools/execute.py`` and by the tests) a figure is stored as
HTML that the book draws with its own copy of plotly; without it the live kernel shows plotly's own figure and
:func:`explore` gains ipywidgets controls.
"""

from __future__ import annotations

import base64
import hashlib
import html
import importlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..plots.diagrams import book_map
from ..plots.palette import SERIES

MIN_ALT = 15  # characters; shorter says less than the caption


def is_static() -> bool:
    """Whether outputs are being stored for the book rather than shown to somebody at a live kernel."""
    return os.environ.get("RECSYS_LITE_STATIC") == "1"


def _need(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"recsys_lite.notebook needs {module.split('.')[0]}, part of the extra recsys-lite[plots]. "
            "From a clone of the repository: pip install -e '.[plots]'"
        ) from error


def display_bundle(bundle: dict[str, Any]) -> None:
    _need("IPython.display").display(bundle, raw=True)


def check_alt(alt: str) -> str:
    """The alt text, if it says something.

    Raises:
        ValueError: for fewer than 15 characters.

    Example:
        >>> check_alt("Log loss falls from epoch 1 to 5.")
        'Log loss falls from epoch 1 to 5.'
    """
    if len(alt.strip()) < MIN_ALT:
        raise ValueError(f"alt: got {alt!r}, expected at least {MIN_ALT} characters that say what the figure shows")
    return " ".join(alt.split())


def short(value: Any, digits: int = 5) -> Any:
    """A plotly figure's dictionary as plain JSON values, floats cut to significant digits, NaN as ``None``.

    Example:
        >>> short({"x": np.array([1 / 3, np.nan]), "n": 2})
        {'x': [0.33333, None], 'n': 2}
    """
    if isinstance(value, Mapping):
        if "bdata" in value:  # plotly's packed array
            flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
            return short(flat.reshape([int(n) for n in str(value.get("shape", -1)).split(",")]), digits)
        return {key: short(item, digits) for key, item in value.items()}
    if isinstance(value, np.ndarray | pd.Series | pd.Index):
        return [short(item, digits) for item in value.tolist()]
    if isinstance(value, list | tuple):
        return [short(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        rounded = float(f"{value:.{digits}g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
    return value


def figure_json(figure: Any) -> dict[str, Any]:
    """A plotly figure as the small dictionary that the book stores: no template, colours of the book."""
    stored = short(figure.to_dict())
    layout = stored.setdefault("layout", {})
    layout.pop("template", None)
    layout.setdefault("colorway", SERIES)
    layout.setdefault("margin", {"l": 10, "r": 10, "t": 40, "b": 10})
    for axis in ("xaxis", "yaxis"):
        layout.setdefault(axis, {}).setdefault("automargin", True)
    return stored


def figure_html(stored: Mapping[str, Any], alt: str, caption: str = "") -> str:
    """The ``<figure>`` that ``figures.js`` draws in the book; elsewhere it says how to see the figure."""
    data = json.dumps(stored, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    name = "figure-" + hashlib.sha256(f"{data}{alt}{caption}".encode()).hexdigest()[:12]
    label, role = (
        html.escape(check_alt(alt)),
        "group" if stored["layout"].get("sliders") else "img",
    )  # an image has no controls inside
    height = int(stored["layout"].get("height", 400))
    return (
        f'<figure class="rl-figure" id="{name}">'
        f'<div class="rl-plotly" role="{role}" aria-label="{label}" style="min-height:{height}px">'
        "Run this cell to see the figure.</div>"
        f'<script type="application/json">{data}</script>{_caption(caption)}</figure>'
    )


def _caption(caption: str) -> str:
    return f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""


def _show_stored(stored: dict[str, Any], alt: str, caption: str) -> None:
    native = {**stored, "config": {"responsive": True, "displaylogo": False}}
    page = {"text/html": figure_html(stored, alt, caption), "text/plain": f"[figure] {check_alt(alt)}"}
    display_bundle({**page, "application/vnd.plotly.v1+json": native})


def _show_live(figure: Any, caption: str) -> None:
    figure.show()
    if caption:
        display_bundle({"text/html": f"<small>{html.escape(caption)}</small>", "text/plain": caption})


def show(figure: Any, alt: str, caption: str = "") -> None:
    """Show a plotly figure.

    Args:
        figure: a ``plotly.graph_objects.Figure``.
        alt: what the figure shows, in words, for those who do not see it; at least 15 characters.
        caption: data, seeds and number of rows.

    Raises:
        ValueError: if ``alt`` is too short.
    """
    _need("plotly.graph_objects")
    check_alt(alt)
    if is_static():
        _show_stored(figure_json(figure), alt, caption)
    else:
        _show_live(figure, caption)


def drawing(svg: str, alt: str, caption: str = "") -> dict[str, str]:
    """What a notebook stores of an inline SVG drawing, by MIME type."""
    label = html.escape(check_alt(alt))
    if not svg.lstrip().startswith("<svg"):
        raise ValueError(f"svg: got text starting with {svg.lstrip()[:20]!r}, expected '<svg'")
    body = f'<div role="img" aria-label="{label}">{svg}</div>{_caption(caption)}'
    return {"text/html": f'<figure class="rl-figure rl-svg">{body}</figure>', "text/plain": f"[drawing] {alt}"}


def show_svg(svg: str, alt: str, caption: str = "") -> None:
    """Show an inline SVG drawing that uses ``currentColor`` for its text, so that it fits light and dark pages."""
    display_bundle(drawing(svg, alt, caption))


def map_drawing(slug: str) -> dict[str, str]:
    """The map of the book with one chapter lit, as :func:`drawing`."""
    svg, title = book_map(slug)
    return drawing(svg, f"Map of the book's chapters from top to bottom; you are at: {title}.")


def here(slug: str) -> None:
    """Show the map of the book with one chapter lit. tools/stamp.py keeps the stored ones true."""
    display_bundle(map_drawing(slug))


def tabs(pages: Mapping[str, str]) -> None:
    """Pages, title → HTML, behind tabs; they switch in the book, too, where no kernel runs.

    Formulas in HTML (``e<sub>1</sub>``), not in dollars.
    """
    if not pages:
        raise ValueError("tabs: got no pages, expected {title: html}")
    widgets = _need("ipywidgets")
    box = widgets.Tab([widgets.HTML(page) for page in pages.values()], titles=list(pages))
    display_bundle({**box._repr_mimebundle_(), "text/plain": "[tabs] " + " | ".join(pages)})
