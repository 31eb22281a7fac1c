"""A table that a reader filters without a kernel: a list to choose from above it, rows that do not fit hidden."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence

import pandas as pd

from .figures import display_bundle
from .tables import table_html

SCRIPT = """(root => {
  const rows = [...root.querySelectorAll('tbody tr')], tags = JSON.parse(root.dataset.tags);
  const lists = [...root.querySelectorAll('select')], count = root.querySelector('output');
  const show = () => {
    let left = 0;
    rows.forEach((row, k) => {
      row.hidden = !lists.every(l => !l.value || tags[k][l.name].includes(l.value));
      left += !row.hidden;
    });
    count.value = left + ' of ' + rows.length;
  };
  lists.forEach(l => l.addEventListener('change', show));
  show();
})(document.getElementById('NAME'));"""


def filter_html(
    table: pd.DataFrame, by: Mapping[str, Sequence[Sequence[str]]], caption: str = "", digits: int = 4
) -> str:
    """A table with a list of choices for each of ``by``; without JavaScript all rows show.

    Args:
        table: what is shown.
        by: name of a list -> for each row the values that it stands for. Choices come in order of appearance.
        caption, digits: see :func:`recsys_lite.notebook.tables.table_html`.

    Raises:
        ValueError: if a list does not have an entry for every row.

    Example:
        >>> "<option>ranking</option>" in filter_html(pd.DataFrame({"m": ["fm"]}), {"phase": [["ranking"]]})
        True
    """
    for name, values in by.items():
        if len(values) != len(table):
            raise ValueError(f"filter_html: {name!r} has {len(values)} entries for {len(table)} rows")
    tags = [{name: list(values[k]) for name, values in by.items()} for k in range(len(table))]
    lists = ""
    for name, values in by.items():
        options = "".join(
            f"<option>{html.escape(v)}</option>" for v in dict.fromkeys(v for some in values for v in some)
        )
        lists += (
            f'<label>{html.escape(name)} <select name="{html.escape(name)}"><option value="">all</option>{options}'
            "</select></label> "
        )
    stored = html.escape(json.dumps(tags), quote=True)
    body = table_html(table, caption, digits)
    name = "filter-" + hashlib.sha256(f"{stored}{body}".encode()).hexdigest()[:12]
    script = f"<script>{SCRIPT.replace('NAME', name)}</script>"
    return (
        f'<div class="rl-filter" id="{name}" data-tags="{stored}"><p>{lists}<output></output></p>{body}{script}</div>'
    )


def show_filtered(
    table: pd.DataFrame, by: Mapping[str, Sequence[Sequence[str]]], caption: str = "", digits: int = 4
) -> None:  # fmt: skip
    """Show :func:`filter_html`: in the book, in Jupyter and in Colab."""
    plain = table.to_string(float_format=lambda v: f"{v:.{digits}f}")
    display_bundle({"text/html": filter_html(table, by, caption, digits), "text/plain": plain})
