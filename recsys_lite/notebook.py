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
import inspect
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .diagrams import book_map
from .palette import SERIES

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


def table_html(table: pd.DataFrame, caption: str = "", digits: int = 4) -> str:
    """A table as HTML: floats with ``digits`` decimals, the index only where it says something.

    Example:
        >>> print(table_html(pd.DataFrame({"model": ["fm"], "auc": [0.75]}), digits=2))
        <div class="rl-table" tabindex="0"><table><thead><tr><th class="text">model</th><th>auc</th></tr></thead>\
<tbody><tr><td class="text">fm</td><td>0.75</td></tr></tbody></table></div>
    """
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index(names=table.index.name or "")
    text = [not pd.api.types.is_numeric_dtype(column) for _, column in table.items()]

    def mark(is_text: bool, value: str) -> str:
        return "" if not is_text else ' class="text long"' if len(value) > 40 else ' class="text"'

    def cell(is_text: bool, value: Any) -> str:
        if isinstance(value, float | np.floating):
            value = "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")
        elif not is_text:
            value = str(value).replace("-", "−")
        return f"<td{mark(is_text, str(value))}>{html.escape(str(value))}</td>"

    head = "".join(f"<th{mark(t, '')}>{html.escape(str(c))}</th>" for t, c in zip(text, table.columns, strict=True))
    rows = "".join("<tr>" + "".join(map(cell, text, row)) + "</tr>" for row in table.itertuples(index=False, name=None))
    words = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="rl-table" tabindex="0"><table>{words}{body}</table></div>'


def show_table(table: pd.DataFrame, caption: str = "", digits: int = 4) -> None:
    """Show a table; on a narrow page it scrolls in its own box."""
    plain = table.to_string(float_format=lambda v: f"{v:.{digits}f}")
    display_bundle({"text/html": table_html(table, caption, digits), "text/plain": plain})


def explore(function: Callable[..., Any], *, alt: str, caption: str = "", **controls: Sequence[Any]) -> Any:
    """A figure with controls: ``explore(draw, alt="…", k=[2, 4, 8])`` shows ``draw(k=…)``.

    In the book, a slider moves the first control through figures computed beforehand, the others stay at
    ``function``'s defaults; in a live kernel every control is a widget and ``function`` runs again.

    Args:
        function: takes the controls by name, returns a plotly figure; its defaults are where the figure opens.
        controls: the values of each control.

    Returns:
        the box of widgets in a live kernel, otherwise ``None``.

    Raises:
        ValueError: without controls, for a control without values, and for a default that is not among them.
    """
    check_alt(alt)
    if not controls:
        raise ValueError("explore: got no controls, expected at least one, like k=[2, 4, 8]")
    start = {name: _start(function, name, values) for name, values in controls.items()}
    if not is_static():
        return _explore_live(function, caption, controls, start)
    name, values = next(iter(controls.items()))
    figures = [figure_json(function(**{**start, name: value})) for value in values]
    others = ", ".join(n.replace("_", " ") for n in list(controls)[1:])
    note = f" A live notebook has controls for {others}, too." if others else ""
    _show_stored(slide(figures, name, values, list(values).index(start[name])), alt, caption + note)
    return None


def _start(function: Callable[..., Any], name: str, values: Sequence[Any]) -> Any:
    if not len(values):
        raise ValueError(f"explore: control {name!r} has no values")
    parameter = inspect.signature(function).parameters.get(name)
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return values[0]
    if parameter.default not in list(values):
        raise ValueError(f"explore: control {name!r} starts at {parameter.default!r}, expected one of {list(values)}")
    return parameter.default


def slide(figures: list[dict[str, Any]], name: str, values: Sequence[Any], active: int) -> dict[str, Any]:
    """One stored figure with a slider that shows one of several at a time."""
    flat = [_flat(f["layout"]) for f in figures]
    moving = sorted({key for one in flat for key in one if any(other.get(key) != one[key] for other in flat)})
    counts = [len(f["data"]) for f in figures]
    steps = []
    for place, value in enumerate(values):
        visible = [i == place for i, count in enumerate(counts) for _ in range(count)]
        change = {key: flat[place].get(key) for key in moving}
        label = f"{value:g}" if isinstance(value, float) else str(value)
        steps.append({"label": label, "method": "update", "args": [{"visible": visible}, change]})
    data = [{**trace, "visible": i == active} for i, f in enumerate(figures) for trace in f["data"]]
    layout = dict(figures[active]["layout"])
    title = name.replace("_", " ") + ": "
    look = {"currentvalue": {"prefix": title}, "pad": {"t": 50}, "ticklen": 4}
    layout["sliders"] = [{**look, "active": active, "steps": steps}]
    layout["height"] = layout.get("height", 400) + 90
    return {"data": data, "layout": layout}


def _flat(layout: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in layout.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{path}{key}.")
        else:
            out[path + key] = value
    return {key: value for key, value in out.items() if key != "height"}


def _explore_live(
    function: Callable[..., Any], caption: str, controls: Mapping[str, Sequence[Any]], start: Mapping[str, Any]
) -> Any:
    widgets = _need("ipywidgets")

    def control(name: str, values: Sequence[Any]) -> Any:
        settings = {"value": start[name], "description": name.replace("_", " ")}
        if set(values) == {False, True}:
            return widgets.Checkbox(**settings)
        if all(isinstance(v, int | float) for v in values):
            return widgets.SelectionSlider(options=list(values), continuous_update=False, **settings)
        return widgets.Dropdown(options=list(values), **settings)

    made = {name: control(name, values) for name, values in controls.items()}
    output = widgets.interactive_output(lambda **chosen: _show_live(function(**chosen), caption), made)
    box = widgets.VBox([*made.values(), output])
    _need("IPython.display").display(box)
    return box


def tabs(pages: Mapping[str, str]) -> None:
    """Pages, title → HTML, behind tabs; they switch in the book, too, where no kernel runs.

    Formulas in HTML (``e<sub>1</sub>``), not in dollars.
    """
    if not pages:
        raise ValueError("tabs: got no pages, expected {title: html}")
    widgets = _need("ipywidgets")
    box = widgets.Tab([widgets.HTML(page) for page in pages.values()], titles=list(pages))
    display_bundle({**box._repr_mimebundle_(), "text/plain": "[tabs] " + " | ".join(pages)})
