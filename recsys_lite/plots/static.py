"""A plotly figure as a small SVG text that needs no script, or several as a PNG: for readers to take away."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgba
from matplotlib.figure import Figure

MARKS = {
    "circle": "o", "square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-up": "^", "star": "*",
}  # fmt: skip
DASHES = {"dot": ":", "dash": "--", "dashdot": "-.", "solid": "-"}
WIDTH, DPI = 760, 100  # of the SVG, in pixels


def svg(figure: go.Figure, title: str = "") -> str:
    """The figure as an SVG text with its title, its axes' titles and its legend; whole labels, no numbers that move.

    Knows scatter, bar, heatmap and waterfall traces and straight lines; notes stay out.

    Args:
        figure: a figure of this library.
        title: above it. Default: the figure's own.

    Raises:
        ValueError: for a trace of another kind.

    Example:
        >>> text = svg(go.Figure(go.Bar(x=["a", "b"], y=[1, 2])), title="Two bars")
        >>> text.startswith("<svg"), "Two bars" in text, len(text) < 50_000
        (True, True, True)
    """
    height = figure.layout.height or 380
    page = Figure(figsize=(WIDTH / DPI, height / DPI), layout="constrained")
    _draw(page.add_subplot(), figure, title)
    text = io.StringIO()
    page.savefig(text, format="svg", metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.S)


def png(figures: Sequence[go.Figure], titles: Sequence[str] = ()) -> bytes:
    """Figures below each other as one PNG of twice the width of :func:`svg`, with the same titles and labels.

    Args:
        figures: at least one, as :func:`svg` takes them.
        titles: one for each. Default: the figures' own.

    Raises:
        ValueError: for no figure, another number of titles, or a trace of another kind.

    Example:
        >>> png([go.Figure(go.Bar(x=["a", "b"], y=[1, 2]))], ["Two bars"])[1:4]
        b'PNG'
    """
    if not figures or (titles and len(titles) != len(figures)):
        raise ValueError(f"png: expected figures and a title for each, got {len(figures)} and {len(titles)}")
    heights = [f.layout.height or 380 for f in figures]
    page = Figure(figsize=(WIDTH / DPI, sum(heights) / DPI), layout="constrained")
    grid = page.add_gridspec(len(figures), 1, height_ratios=heights)
    for k, (figure, title) in enumerate(zip(figures, titles or [""] * len(figures), strict=True)):
        _draw(page.add_subplot(grid[k, 0]), figure, title)
    out = io.BytesIO()
    page.savefig(out, format="png", dpi=2 * DPI, metadata={"Software": None})
    return out.getvalue()


def _draw(axes: Any, figure: go.Figure, title: str) -> None:
    """One figure on its axes."""
    bars = [t for t in figure.data if t.type == "bar"]
    for trace in figure.data:
        if trace.type not in DRAW:
            raise ValueError(f"svg: a trace of type {trace.type!r}, expected one of {sorted(DRAW)}")
        DRAW[trace.type](axes, trace, bars)
    _axes(axes, figure)
    axes.set_title(plain(title or figure.layout.title.text or ""), loc="left", fontsize=11, wrap=True)
    if figure.layout.showlegend is not False and len(labels := axes.get_legend_handles_labels()[1]) > 0:
        axes.legend(fontsize=8, frameon=False, ncols=min(4, len(labels)), loc="best")


def plain(text: str) -> str:
    """Text without plotly's tags; a line break stays one. A dollar sign is no formula."""
    return re.sub(r"<[^>]+>", "", str(text).replace("<br>", "\n")).replace("$", r"\$")


def colour(value: Any, default: str = "#0072B2") -> Any:
    """A colour of plotly for matplotlib: a name, ``#rrggbb``, ``rgb(…)`` or ``rgba(…)``."""
    if not isinstance(value, str):
        return default
    if found := re.fullmatch(r"rgba?\(([^)]+)\)", value):
        parts = [float(p) for p in found[1].split(",")]
        return (*(p / 255 for p in parts[:3]), *parts[3:])
    return to_hex(value)


def scale(colours: Any) -> LinearSegmentedColormap | str:
    """A colour scale of plotly for matplotlib."""
    if not colours:
        return "viridis"
    return LinearSegmentedColormap.from_list("scale", [(float(at), colour(c)) for at, c in colours])


def _spread(error: Any, count: int) -> np.ndarray | None:
    """Error bars down and up, (2, count)."""
    if error is None or error.array is None:
        return None
    up = np.asarray(error.array, float)
    down = up if error.arrayminus is None else np.asarray(error.arrayminus, float)
    return np.nan_to_num(np.stack([down, up])).clip(0)


def _ticks(values: Any) -> list[Any]:
    """Values along an axis, text without tags."""
    return [plain(v) if isinstance(v, str) else v for v in values]


def _scatter(axes: Any, trace: Any, bars: Sequence[Any]) -> None:
    mode, mark, line = trace.mode or "lines+markers", trace.marker, trace.line
    x, y = _ticks(trace.x), _ticks(trace.y)
    label = plain(trace.name) if trace.name and trace.showlegend is not False else None
    tint = colour(line.color, colour(mark.color))
    alpha = trace.opacity if trace.opacity is not None else 1.0
    if trace.fill == "toself":
        axes.fill(x, y, color=colour(trace.fillcolor, tint), alpha=alpha, linewidth=0)
        return
    if "lines" in mode:
        axes.plot(x, y, DASHES.get(line.dash or "solid", "-"), color=tint, alpha=alpha, linewidth=line.width or 1.5,
                  label=label)  # fmt: skip
        label = None
    errors = {k: _spread(getattr(trace, f"error_{k}"), len(x)) for k in "xy"}
    if any(e is not None for e in errors.values()):
        axes.errorbar(x, y, xerr=errors["x"], yerr=errors["y"], fmt="none", ecolor=tint, elinewidth=1)
    if "markers" in mode:
        symbols = [mark.symbol] * len(x) if isinstance(mark.symbol, str | None) else list(mark.symbol)
        number = mark.color is not None and not isinstance(mark.color, str) and np.ndim(mark.color) == 1
        number = number and np.issubdtype(np.asarray(mark.color).dtype, np.number)
        alphas = mark.opacity if mark.opacity is not None else alpha
        for symbol in dict.fromkeys(symbols):
            at = [k for k, s in enumerate(symbols) if s == symbol]
            pick = lambda v, at=at: [v[k] for k in at]  # noqa: E731
            sizes = mark.size if mark.size is not None else 6
            area = [s**2 / 2 for s in (pick(sizes) if np.ndim(sizes) else [sizes] * len(at))]
            kind = MARKS.get((symbol or "circle").removesuffix("-open"), "o")
            looks: dict[str, Any] = {"color": tint}
            if number:
                looks = {"c": pick(mark.color), "cmap": scale(mark.colorscale), "vmin": mark.cmin, "vmax": mark.cmax}
            own = pick(alphas) if np.ndim(alphas) else alphas
            if not number and (symbol or "").endswith("-open"):  # an empty face takes no list of opacities
                edges = [to_rgba(tint, a) for a in own] if np.ndim(own) else [to_rgba(tint, own)]
                looks, own = {"facecolors": "none", "edgecolors": edges}, None
            axes.scatter(pick(x), pick(y), s=area, marker=kind, alpha=own, label=label, **looks)
            label = None


def _bar(axes: Any, trace: Any, bars: Sequence[Any]) -> None:
    flat = trace.orientation == "h"
    names, values = (trace.y, trace.x) if flat else (trace.x, trace.y)
    place, width = bars.index(trace), 0.8 / len(bars)
    texts = _ticks(names)
    at = np.arange(len(texts)) + (place - (len(bars) - 1) / 2) * width
    tint = trace.marker.color
    tints = [colour(t) for t in tint] if isinstance(tint, list | tuple | np.ndarray) else colour(tint)
    draw = axes.barh if flat else axes.bar
    draw(at, np.asarray(values, float), width, color=tints, label=plain(trace.name) if trace.name else None)
    (axes.set_yticks if flat else axes.set_xticks)(np.arange(len(texts)), [str(t) for t in texts])


def _heatmap(axes: Any, trace: Any, bars: Sequence[Any]) -> None:
    z = np.asarray(trace.z, float)
    shown = axes.imshow(z, cmap=scale(trace.colorscale), vmin=trace.zmin, vmax=trace.zmax, aspect="auto")
    columns, lines = _ticks(trace.x), _ticks(trace.y)
    axes.set_xticks(range(len(columns)), [str(c) for c in columns], rotation=90 if len(columns) > 6 else 0)
    axes.set_yticks(range(len(lines)), [str(n) for n in lines])
    if trace.showscale is not False:
        axes.figure.colorbar(shown, ax=axes, label=plain(trace.colorbar.title.text or ""))
    if max(z.shape) <= 8:
        middle = (shown.norm.vmin + shown.norm.vmax) / 2
        for (i, j), v in np.ndenumerate(z):
            if np.isfinite(v):
                ink = "black" if v > middle or shown.norm.vmin < 0 else "white"
                axes.text(j, i, f"{v:.2f}", ha="center", va="center", fontsize=8, color=ink)


def _waterfall(axes: Any, trace: Any, bars: Sequence[Any]) -> None:
    names, values = _ticks(trace.y), np.asarray(trace.x, float)
    total = [m == "total" for m in trace.measure]
    starts = np.concatenate([[0.0], np.cumsum(values)[:-1]])
    for k, (v, whole) in enumerate(zip(values, total, strict=True)):
        tint = (trace.totals if whole else trace.increasing if v >= 0 else trace.decreasing).marker.color
        axes.barh(k, v, left=0 if whole else starts[k], color=colour(tint))
        end = v if whole else starts[k] + v
        axes.annotate(trace.text[k], (end, k), (4 if v >= 0 else -4, 0), textcoords="offset points",
                      ha="left" if v >= 0 else "right", va="center", fontsize=8)  # fmt: skip
    axes.set_yticks(range(len(names)), [str(n) for n in names])


DRAW = {"scatter": _scatter, "bar": _bar, "heatmap": _heatmap, "waterfall": _waterfall}


def _axes(axes: Any, figure: go.Figure) -> None:
    for key, axis in (("x", figure.layout.xaxis), ("y", figure.layout.yaxis)):
        getattr(axes, f"set_{key}label")(plain(axis.title.text or ""), fontsize=9)
        if axis.type == "log":
            getattr(axes, f"set_{key}scale")("log")
        if axis.range is not None and axis.type != "log":
            getattr(axes, f"set_{key}lim")(*axis.range)
        elif axis.autorange == "reversed" and not getattr(axes, f"{key}axis_inverted")():
            getattr(axes, f"invert_{key}axis")()
        if axis.tickvals is not None and axis.ticktext is not None:
            getattr(axes, f"set_{key}ticks")(list(axis.tickvals), [plain(t) for t in axis.ticktext])
        if axis.showticklabels is False:
            getattr(axes, f"set_{key}ticks")([])
    for shape in figure.layout.shapes:
        if shape.type == "line":
            looks = {"linestyle": DASHES.get(shape.line.dash or "solid", "-"), "color": colour(shape.line.color)}
            if shape.x0 == shape.x1:
                axes.axvline(shape.x0, linewidth=1, **looks)
            elif shape.y0 == shape.y1:
                axes.axhline(shape.y0, linewidth=1, **looks)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
