"""Tables in a chapter."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
import pandas as pd

from .figures import display_bundle


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
