"""Steps in a notebook: title, formula and numbers, in lines that fit a telephone."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from ..explain.traces.registry import trace
from ..explain.traces.steps import Step
from ..fields import Dataset
from ..store.files import weights_path
from ..store.trained import load_model
from .figures import display_bundle

NARROW = 30  # signs of a line of LaTeX that fit 320 px

_TOKEN = re.compile(r"\\text\{[^}]*\}|\\(?:begin|end)\{\w+\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_UNDER = re.compile(r"\\underbrace\{(.*)\}_\{\\text\{(.*)\}\}")


def pieces(latex: str) -> list[str]:
    r"""A formula cut where a line may end: before +, - and = and after a comma with a quad, outside of all brackets.

    Example:
        >>> pieces(r"z = (a + b) + c,\quad d")
        ['z', ' = (a + b)', ' + c,\\quad', ' d']
    """
    out, depth = [""], 0
    tokens = _TOKEN.findall(latex)
    for place, token in enumerate(tokens):
        if token in "([{" or token.startswith(r"\begin"):
            depth += 1
        elif token in ")]}" or token.startswith(r"\end"):
            depth -= 1
        around = tokens[place : place + 3]
        if depth == 0 and token == " " and len(around) == 3 and around[1] in "+-=" and around[2] == " ":
            out.append("")
        out[-1] += token
        if depth == 0 and token == r"\quad":
            out.append("")
    return [piece for piece in out if piece.strip()]


def width(latex: str) -> float:
    r"""Roughly how many signs wide a piece is; the words under a brace are smaller.

    Example:
        >>> width(r"0.500 + x"), width(r"\underbrace{1 + 2}_{\text{ab}}")
        (7.0, 3.0)
    """
    if len(parts := pieces(latex)) > 1:
        return sum(map(width, parts))
    if found := _UNDER.search(latex):
        rest = latex[: found.start()] + latex[found.end() :]
        return max(width(found[1]), 0.7 * len(found[2])) + width(rest)
    bare = re.sub(r"\\(mathrm|text|mathbb|begin\{\w+\}|end\{\w+\}|frac|tfrac)", "", latex)
    bare = re.sub(r"\\[A-Za-z]+", "x", bare)
    return float(len(re.sub(r"[\s{}_^&\\]", "", bare)))


def lines(latex: str, most: float = NARROW) -> list[str]:
    """A formula as lines that are not wider than ``most`` signs, where it can be cut; commas with a quad come first."""
    out: list[str] = []
    clause: list[str] = []
    for piece in pieces(latex):
        clause.append(piece)
        if piece.endswith(r"\quad"):
            _add(out, clause, most)
            clause = []
    _add(out, clause, most)
    return [line.strip() for line in out]


def _add(out: list[str], clause: list[str], most: float) -> None:
    """Put a clause on the last line if it fits there as a whole, otherwise on lines of its own."""
    if out and sum(map(width, [out[-1], *clause])) <= most:
        out[-1] += "".join(clause)
        return
    for place, piece in enumerate(clause):
        if place and width(out[-1]) + width(piece) <= most:
            out[-1] += piece
        else:
            out.append(piece)


def in_lines(latex: str, most: float = NARROW) -> str:
    r"""The same formula in as many lines as it needs; one that fits, or has lines of its own, stays as it is.

    Example:
        >>> in_lines("a + b = c", most=3)
        '\\begin{aligned} & a + b \\\\[0.3em] & = c \\end{aligned}'
    """
    cut = lines(latex, most)
    if len(cut) < 2 or r"\begin{aligned}" in latex:
        return latex
    return r"\begin{aligned} & " + r" \\[0.3em] & ".join(cut) + r" \end{aligned}"


def show_steps(steps: Sequence[Step]) -> None:
    """Show the steps of a trace one below the other: title and note, then the formula and its numbers.

    Args:
        steps: of :func:`recsys_lite.explain.traces.trace`.
    """
    for place, step in enumerate(steps, 1):
        note = html.escape(step.note).replace("*", "")
        head = f"<p><strong>{place}. {html.escape(step.title)}.</strong> {note}</p>"
        display_bundle({"text/html": head, "text/plain": f"{place}. {step.title}. {step.note}"})
        both = rf"\begin{{gathered}} {in_lines(step.formula)} \\[0.6em] {in_lines(step.numbers)} \end{{gathered}}"
        display_bundle({"text/latex": f"$$ {both} $$", "text/plain": f"{step.formula}\n{step.numbers}"})


def show_row(name: str, dataset: Dataset, row: int) -> None:
    """Show the steps of a stored model on one row of the test part, the same that the explorer's *Step through* shows.

    Args:
        name: of the model, a key of :data:`recsys_lite.explain.traces.TRACES` with stored weights for the data set.
        dataset: of which the row is.
        row: its place in the test part.

    Raises:
        ValueError: for a row that does not exist, a model without a trace or without stored weights.
    """
    if not 0 <= row < len(dataset.test):
        raise ValueError(f"show_row: row {row}; the test part has rows 0 to {len(dataset.test) - 1}")
    model = load_model(weights_path(dataset.name, dataset.task, name), dataset.fields)
    show_steps(trace(name, model, dataset.test[row]))
