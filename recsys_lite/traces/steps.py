"""What a trace is made of: the steps of a model on one row, each with its formula and with the numbers put in.

The numbers in a step come from the tensors that the model computed; every helper here refuses numbers that do not give
the result it is asked to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

MOST_TERMS = 4  # terms that a line of numbers writes out; the rest are summed up


@dataclass(frozen=True)
class Step:
    """One step of a model on one row.

    Args:
        box: place of its box in :data:`recsys_lite.drawings.ARCHITECTURES`.
        title: what happens, in a few words.
        formula: in LaTeX, with the symbols of the chapter.
        numbers: in LaTeX, the formula with numbers of this row; of one entry where the result has many.
        result: the tensor of the box, with names on both sides.
        note: what to look at, in a sentence.
    """

    box: int
    title: str
    formula: str
    numbers: str
    result: pd.DataFrame
    note: str = ""


def number(value: float) -> str:
    """A number as a step shows it: three places, a true minus by LaTeX, brackets around a negative one.

    Example:
        >>> number(0.25), number(-1.5)
        ('0.250', '(-1.500)')
    """
    text = f"{value:.3f}"
    return f"({text})" if value < 0 else text


def sum_of(terms: Sequence[float], result: float, names: Sequence[str] = ()) -> str:
    r"""A sum with its result; beyond four terms the rest is one number.

    Args:
        terms: what is summed.
        result: what the model computed.
        names: a name under each term, in words. Default: none.

    Raises:
        ValueError: if the terms do not give the result.

    Example:
        >>> sum_of([0.5, -0.25], 0.25)
        '0.500 + (-0.250) = 0.250'
    """
    _agree("sum_of", float(np.sum(np.asarray(terms, float))), result)
    written = [number(t) for t in terms]
    if names:
        written = [rf"\underbrace{{{w}}}_{{\text{{{n}}}}}" for w, n in zip(written, names, strict=True)]
    if len(terms) > MOST_TERMS + 1:
        rest = float(np.sum(np.asarray(terms[MOST_TERMS:], float)))
        more = rf"\underbrace{{{number(rest)}}}_{{\text{{{len(terms) - MOST_TERMS} more}}}}"
        written = [*written[:MOST_TERMS], more]
    return " + ".join(written) + f" = {result:.3f}"


def dot_of(a: Sequence[float], b: Sequence[float], result: float) -> str:
    r"""A dot product with its result; beyond four products the rest is one number.

    Raises:
        ValueError: if the vectors do not give the result.

    Example:
        >>> dot_of([1.0, 2.0], [0.5, -1.0], -1.5)
        '1.000 \\cdot 0.500 + 2.000 \\cdot (-1.000) = -1.500'
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    _agree("dot_of", float(x @ y), result)
    written = [rf"{number(p)} \cdot {number(q)}" for p, q in zip(x, y, strict=True)]
    if len(x) > MOST_TERMS + 1:
        rest = float(x[MOST_TERMS:] @ y[MOST_TERMS:])
        more = rf"\underbrace{{{number(rest)}}}_{{\text{{{len(x) - MOST_TERMS} more}}}}"
        written = [*written[:MOST_TERMS], more]
    return " + ".join(written) + f" = {result:.3f}"


def sigmoid_of(logit: float) -> str:
    r"""The last step of every click model.

    Example:
        >>> sigmoid_of(0.0)
        '\\sigma(0.000) = \\frac{1}{1 + e^{-0.000}} = 0.500'
    """
    p = 1 / (1 + float(np.exp(-logit)))
    exponent = f"{-logit:.3f}" if logit < 0 else f"-{logit:.3f}"
    return rf"\sigma({logit:.3f}) = \frac{{1}}{{1 + e^{{{exponent}}}}} = {p:.3f}"


def vector(values: Sequence[float], name: str, index: Sequence[str] = ()) -> pd.DataFrame:
    """A vector as a table of one line."""
    columns = list(index) or [str(k + 1) for k in range(len(values))]
    return pd.DataFrame([np.asarray(values, float)], index=[name], columns=columns)


def _agree(where: str, made: float, result: float) -> None:
    if not np.isclose(made, result, rtol=1e-3, atol=1e-3):
        raise ValueError(f"{where}: the numbers give {made:.4f}, not {result:.4f}")
