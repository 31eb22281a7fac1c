"""A picture to share: models beside each other, each with a number and a map, one sentence, and where it comes from."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .palette import DIVERGING

WIDTH, HEIGHT, DPI = 1200, 630, 100  # what networks show of a picture in full
INK, FAINT = "#1F2933", "#52606D"
MOST_LINES = 3  # of the sentence, and of the foot


@dataclass(frozen=True)
class Column:
    """A model, or the truth, on a card.

    Attributes:
        name: above the number.
        number: in large letters.
        note: below the number, such as what an edit changed.
        table: the map, fields by fields.
        limit: end of the map's scale.
        unit: of its cells.
        marked: pairs of fields that get a frame.
    """

    name: str
    number: str
    note: str
    table: pd.DataFrame
    limit: float
    unit: str
    marked: Sequence[tuple[str, str]] = field(default_factory=tuple)


def card(title: str, columns: Sequence[Column], sentence: str, foot: Sequence[str], short: Mapping[str, str]) -> bytes:
    """The card as a PNG of 1200 × 630 pixels.

    Args:
        title: what all columns are about.
        columns: one to six, from left to right.
        sentence: below the maps.
        foot: lines at the bottom: address, seed. A long one is broken, wherever that is.
        short: field -> a shorter word for it.

    Raises:
        ValueError: for no column, or more than six.

    Example:
        >>> table = pd.DataFrame([[0.0, 1.0], [1.0, 0.0]], index=["A", "B"], columns=["A", "B"])
        >>> card("A row", [Column("FM", "70 %", "", table, 1.0, "log-odds")], "One pair.", ["?row=1"], {})[1:4]
        b'PNG'
    """
    if not 1 <= len(columns) <= 6:
        raise ValueError(f"card: expected one to six columns, got {len(columns)}")
    page = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")

    def write(x: float, y: float, words: str, size: float, **looks: Any) -> None:
        page.text(x / WIDTH, 1 - y / HEIGHT, literal(words), fontsize=size, va="top", **{"color": INK} | looks)

    write(40, 26, wrap(title, 88)[0] if title else "", 15, weight="bold")
    wide = (WIDTH - 80) / len(columns)
    long = any(len(short.get(str(n), str(n))) > 2 for column in columns for n in column.table.columns)
    high = 200 if long else 168  # names of fields stand above the maps, long ones upright
    side = min(wide - 44, 250.0)
    for k, column in enumerate(columns):
        left = 40 + k * wide
        write(left, 66, column.name, 13, weight="bold")
        write(left, 90, column.number, 20)
        write(left, 124, column.note, 9, color=FAINT)
        _map(page, column, (left + 34, high, side), short, first=k == 0)
    top = high + side + 36
    for k, line in enumerate(_lines(sentence, 114, MOST_LINES)):
        write(40, top + 23 * k, line, 13)
    low = [part for line in foot for part in _lines(line, 150, MOST_LINES, anywhere=True)]
    for k, line in enumerate(low):
        write(40, HEIGHT - 22 - 15 * (len(low) - k), line, 8.5, color=FAINT, family="monospace")
    out = io.BytesIO()
    page.savefig(out, format="png", metadata={"Software": "recsys-lite"})
    return out.getvalue()


def literal(text: str) -> str:
    """Text without formulas: a dollar sign is one."""
    return text.replace("$", r"\$")


def _lines(text: str, width: int, most: int, anywhere: bool = False) -> list[str]:
    lines = wrap(text, width, break_on_hyphens=False) if not anywhere else [
        text[k : k + width] for k in range(0, len(text), width)
    ]  # fmt: skip
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1][: width - 1] + "…"]


def _map(
    page: Figure, column: Column, place: tuple[float, float, float], short: Mapping[str, str], first: bool
) -> None:
    """One map; ``place`` is left, top and side in pixels. Only the first names its lines where names are long."""
    x, y, side = place
    axes = page.add_axes((x / WIDTH, 1 - (y + side) / HEIGHT, side / WIDTH, side / HEIGHT))
    colours = LinearSegmentedColormap.from_list("map", [str(c) for _, c in DIVERGING])
    axes.imshow(np.ma.masked_invalid(column.table.to_numpy(float)), cmap=colours, vmin=-column.limit, vmax=column.limit)
    names = [short.get(str(n), str(n)) for n in column.table.columns]
    small = 9 if len(names) <= 8 else 7
    long = max(map(len, names), default=0) > 2
    axes.set_xticks(range(len(names)), [literal(n) for n in names], fontsize=small, rotation=90 if long else 0)
    lines = [literal(short.get(str(n), str(n))) for n in column.table.index]
    axes.set_yticks(range(len(lines)), lines if first or not long else [""] * len(lines), fontsize=small)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_color("#C5CCD3")
    for a, b in column.marked:
        for i, j in ((a, b), (b, a)):
            at = list(column.table.columns).index(j), list(column.table.index).index(i)
            axes.add_patch(Rectangle((at[0] - 0.5, at[1] - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.4))
    axes.set_xlabel(literal(column.unit), fontsize=8, color=FAINT, loc="left", labelpad=3)
