"""Show figures, tables and drawings so that they work in the built book, in Jupyter and in Colab.

While the book's outputs are made (RECSYS_LITE_STATIC=1) a figure is stored as plain HTML that the page draws without
a kernel; in a live kernel the native renderer is used and :func:`explore` gets ipywidgets controls.
"""

from __future__ import annotations

import hashlib
import html
import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import plotly.graph_objects as go

MIN_ALT = 15  # characters that say what a picture shows


def is_static() -> bool:
    """Whether outputs are being made for the book."""
    return os.environ.get("RECSYS_LITE_STATIC") == "1"


def _display(*arguments: Any, **options: Any) -> None:
    try:
        from IPython.display import display
    except ImportError as error:
        raise ImportError("showing figures needs IPython: pip install 'recsys-lite[plots]'") from error
    display(*arguments, **options)


def _checked_alt(alt: str) -> str:
    if len(alt.strip()) < MIN_ALT:
        raise ValueError(f"alt text must say what the figure shows, in at least {MIN_ALT} characters; got {alt!r}")
    return alt.strip()


def _rounded(value: Any) -> Any:
    """Numbers with five significant digits: a stored figure stays small."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


def _plain(figure: go.Figure) -> dict[str, Any]:
    """The figure as plain JSON values without template, arrays as lists."""
    import plotly.io as pio

    stored = json.loads(pio.to_json(figure, engine="json", validate=False))
    stored.get("layout", {}).pop("template", None)
    for trace in [*stored.get("data", []), *(t for f in stored.get("frames", []) for t in f.get("data", []))]:
        for key, value in trace.items():
            if isinstance(value, dict) and "bdata" in value:
                import base64

                import numpy as np

                array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
                if "shape" in value:
                    array = array.reshape([int(n) for n in str(value["shape"]).split(",")])
                trace[key] = array.tolist()
    return _rounded(stored)


def figure_html(figure: go.Figure, alt: str, caption: str = "") -> str:
    """The figure as HTML for the book: a place to draw, its data, a caption. Loads nothing from elsewhere."""
    stored = _plain(figure)
    text = json.dumps(stored, separators=(",", ":"), sort_keys=True).replace("</", "<\\/")
    name = "fig-" + hashlib.sha256((text + alt).encode()).hexdigest()[:12]
    height = int(stored.get("layout", {}).get("height") or 360)
    note = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="rl-figure"><div class="rl-plotly" id="{name}" role="img" aria-label="{html.escape(alt)}" '
        f'style="height:{height}px">Run the cell to see this figure: {html.escape(alt)}</div>'
        f'<script type="application/json">{text}</script>{note}</figure>'
    )


def show(figure: go.Figure, alt: str, caption: str = "") -> None:
    """Display a plotly figure.

    Args:
        figure: what to show.
        alt: what it shows, in words, for readers who cannot see it.
        caption: data, seeds and number of rows.

    Raises:
        ValueError: if ``alt`` says nothing.
    """
    _checked_alt(alt)
    if is_static():
        native = {"application/vnd.plotly.v1+json": _plain(figure)}
        _display({"text/html": figure_html(figure, alt, caption), **native}, raw=True)
        return
    from IPython.display import HTML

    _display(figure)
    if caption:
        _display(HTML(f"<small>{html.escape(caption)}</small>"))


def show_svg(svg: str, alt: str, caption: str = "") -> None:
    """Display a drawing given as SVG text; ``alt`` and ``caption`` as for :func:`show`."""
    from IPython.display import HTML

    note = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    label = html.escape(_checked_alt(alt))
    _display(HTML(f'<figure class="rl-figure rl-svg" role="img" aria-label="{label}">{svg}{note}</figure>'))


def show_table(table: pd.DataFrame, caption: str = "", digits: int = 3, index: bool = False) -> None:
    """Display a table that scrolls inside its own box on a narrow screen."""
    from IPython.display import HTML

    shown = table.reset_index() if index else table

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"<td>{value:.{digits}f}</td>"
        return f"<td>{value}</td>" if isinstance(value, int) else f'<td class="text">{html.escape(str(value))}</td>'

    head = "".join(f"<th>{html.escape(str(c))}</th>" for c in shown.columns)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in shown.itertuples(index=False))
    note = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    _display(HTML(f'<div class="rl-table"><table>{note}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'))


def explore(function: Callable[..., go.Figure], *, alt: str, caption: str = "", **controls: Sequence[Any]) -> None:
    """A figure that a reader can move.

    In a live kernel every control is an ipywidgets slider. In the built book the first control is a slider inside the
    figure, with a picture made beforehand for each of its values; the others keep their defaults.

    Args:
        function: keyword arguments -> plotly figure. The default of an argument, if it has one, is what is shown first.
        alt, caption: as for :func:`show`.
        controls: argument name -> its possible values.

    Raises:
        ValueError: if there is no control, or ``alt`` says nothing.
    """
    _checked_alt(alt)
    if not controls:
        raise ValueError("explore: give at least one control, e.g. k=[2, 4, 8]")
    defaults = {}
    for name, values in controls.items():
        given = inspect.signature(function).parameters[name].default
        defaults[name] = given if given in list(values) else list(values)[0]
    if is_static():
        show(_with_slider(function, controls, defaults), alt, caption)
        return
    import ipywidgets

    sliders = {
        name: ipywidgets.SelectionSlider(options=list(values), value=defaults[name], description=name.replace("_", " "))
        for name, values in controls.items()
    }
    _display(ipywidgets.VBox(list(sliders.values())))
    _display(ipywidgets.interactive_output(lambda **values: show(function(**values), alt, caption), sliders))


def _with_slider(
    function: Callable[..., go.Figure], controls: Mapping[str, Sequence[Any]], defaults: Mapping[str, Any]
) -> go.Figure:
    """One figure with a frame per value of the first control."""
    import plotly.graph_objects as go

    name, values = next(iter(controls.items()))
    figures = {str(v): function(**{**defaults, name: v}) for v in values}
    shown = str(defaults[name])
    first = figures[shown]
    frames = [go.Frame(name=k, data=f.data, layout={"title": f.layout.title}) for k, f in figures.items()]
    settings = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [{"label": k, "method": "animate", "args": [[k], settings]} for k in figures]
    slider = {
        "steps": steps,
        "active": list(figures).index(shown),
        "currentvalue": {"prefix": name.replace("_", " ") + ": "},
        "pad": {"t": 45},
    }
    result = go.Figure(first.data, first.layout, frames)
    result.update_layout(sliders=[slider], height=(first.layout.height or 360) + 90)
    return result


def tabs(pages: Mapping[str, str]) -> None:
    """Pages of HTML behind tabs, for the steps of a calculation. They work in the built book without a kernel."""
    import ipywidgets

    children = [ipywidgets.HTML(f'<div class="rl-step">{text}</div>') for text in pages.values()]
    _display(ipywidgets.Tab(children=children, titles=list(pages)))


def here(slug: str) -> None:
    """The map of the book with one chapter lit."""
    from .diagrams import CHAPTERS, book_map

    title = dict(CHAPTERS)[slug]
    show_svg(book_map(slug), f"Map of the book's chapters in reading order; you are at {title}.")
