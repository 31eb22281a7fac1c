"""Running the explorer's pages without a browser."""

from __future__ import annotations

import importlib
import json
import re

import pandas as pd
from streamlit.testing.v1 import AppTest


def checked(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    return app


def query(app: AppTest) -> dict[str, str]:
    return {k: v[0] if isinstance(v, list) else v for k, v in app.query_params.items()}


def on_page(name: str, **query_: str) -> AppTest:
    """A page of its own, as Streamlit runs it."""

    def script(module: str) -> None:
        import importlib

        importlib.import_module(f"app.pages.{module}").page()

    app = AppTest.from_function(script, args=(name,), default_timeout=120)
    for key, value in query_.items():
        app.query_params[key] = value
    return checked(app.run())


def seen(app: AppTest) -> list[str]:
    """What the page says that one sees, each with what is folded behind it."""
    more = " ".join(m.value for e in app.expander if e.label == "More" for m in e.markdown)
    return [f"{m.value} {more}".strip() for m in app.markdown if m.value.startswith("**What you see.**")]


def hints(app: AppTest) -> list[str]:
    """What is told behind the marks of captions and text."""
    return [text for e in [*app.caption, *app.markdown, *app.title] if (text := e.proto.help)]


def run_cells(app: AppTest, rtol: float = 1e-4) -> int:
    """Run the notebook cell behind every table of a page and compare what it makes; returns how many there are.

    The page may name models in words and add columns; lines, and the numbers of the columns that both have, agree.
    """
    folded = [e for e in app.expander if "downloads" in e.label]
    for part in folded:
        (code,), shown = part.code, part.dataframe[0].value
        assert not re.search(r"\b(from|import) (app|streamlit)\b", code.value), "a cell may use the library only"
        names: dict[str, object] = {}
        exec(compile(code.value, part.label, "exec"), names)
        made = names["table"]
        assert isinstance(made, pd.DataFrame) and len(made) == len(shown), part.label
        both = [c for c in made.select_dtypes("number") if c in shown]
        assert both, f"{part.label}: no number to compare"
        for column in both:
            pd.testing.assert_series_equal(
                made[column].reset_index(drop=True), shown[column].reset_index(drop=True),
                rtol=rtol, atol=1e-5, check_dtype=False, check_names=False,
            )  # fmt: skip
    return len(folded)


def words_outside_folds(app: AppTest) -> list[str]:
    """The words that a page shows without a click: headings, text, captions, notes and what its maps tell.

    No folds, no widgets, no numbers of charts and tables.
    """
    shown: list[str] = []
    count = lambda text: re.findall(r"\w[\w’'.,%-]*", re.sub(r"<style.*?</style>", "", text, flags=re.S))  # noqa: E731

    def walk(block: object) -> None:
        for child in getattr(block, "children", {}).values():
            kind = getattr(child, "type", "")
            if kind in ("expander", "popover", "expandable"):
                continue
            if kind in ("markdown", "caption", "title", "header", "subheader", "info", "warning", "alert"):
                shown.extend(count(str(child.value)))
            if component := getattr(getattr(child, "proto", None), "component_name", ""):
                given = json.loads(child.proto.json)
                told = "" if component == "recsys_lite_parts" else given.get("told", "")  # heard only, not seen
                bands = [b for c in given.get("columns", []) for b in c.get("bands", []) if not b.get("title")]
                why = [w for b in bands for w in b.get("why", [])]  # why there is no map is folded
                shown.extend(count(" ".join([told, *why])))
            walk(child)

    walk(app.main)
    return shown


class Inside:
    """A :class:`recsys_lite.lab.worker.Worker` without a process: the steps are made when they are taken."""

    def __init__(self, job, *arguments, **options):
        module, _, function = job.partition(":")
        self.steps = getattr(importlib.import_module(module), function)(*arguments, **options)
        self.asked, self.alive = False, True

    def ask(self):
        self.asked = True

    def take(self, seconds=0.0):
        if not self.asked:
            return None
        self.asked = False
        try:
            return "item", next(self.steps)
        except StopIteration as stop:
            return "done", stop.value

    def run(self, told, waiting=lambda: None):
        while True:
            self.ask()
            kind, value = self.take()
            if kind == "done":
                return value
            told(value)
            waiting()

    def close(self):
        self.alive = False
