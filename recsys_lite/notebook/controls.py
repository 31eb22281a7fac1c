"""Figures with controls: a slider in the book, widgets in a live kernel."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .figures import _need, _show_live, _show_stored, check_alt, figure_json, is_static


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
