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
        box: place of its box in :data:`recsys_lite.explain.boxes.ARCHITECTURES`.
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


def sigmoid_of(logit: float, result: float | None = None) -> str:
    r"""A sigmoid with its result: the last step of every click model, and a gate.

    Raises:
        ValueError: if it gives another result than one that is told.

    Example:
        >>> sigmoid_of(0.0)
        '\\sigma(0.000) = \\frac{1}{1 + e^{-0.000}} = 0.500'
    """
    p = 1 / (1 + float(np.exp(-logit)))
    _agree("sigmoid_of", p, p if result is None else result)
    exponent = f"{-logit:.3f}" if logit < 0 else f"-{logit:.3f}"
    return rf"\sigma({logit:.3f}) = \frac{{1}}{{1 + e^{{{exponent}}}}} = {p:.3f}"


def vector(values: Sequence[float], name: str, index: Sequence[str] = ()) -> pd.DataFrame:
    """A vector as a table of one line."""
    columns = list(index) or [str(k + 1) for k in range(len(values))]
    return pd.DataFrame([np.asarray(values, float)], index=[name], columns=columns)


def plain(words: str, most: int = 26) -> str:
    r"""Words that may stand in ``\text{…}`` of any reader of LaTeX: no special characters, not too long.

    Example:
        >>> plain("release_year"), plain("Fast, Cheap & Out of Control (1997)")
        ('release year', 'Fast, Cheap and Out of Co…')
    """
    for sign, instead in (("&", "and"), ("_", " "), ("%", " percent"), ("#", "no. "), ("{", "("), ("}", ")")):
        words = words.replace(sign, instead)
    words = "".join(c for c in words if c not in "\\$^~<>")
    return words if len(words) <= most else words[: most - 1] + "…"


def product_of(factors: Sequence[float], result: float) -> str:
    r"""A product with its result.

    Raises:
        ValueError: if the factors do not give the result.

    Example:
        >>> product_of([0.5, -2.0], -1.0)
        '0.500 \\cdot (-2.000) = -1.000'
    """
    return products_of([factors], result)


def products_of(terms: Sequence[Sequence[float]], result: float) -> str:
    r"""A sum of products with its result; all of them are written out.

    Raises:
        ValueError: if the products do not give the result.

    Example:
        >>> products_of([[2.0, 0.5, 0.1], [-1.0]], -0.9)
        '2.000 \\cdot 0.500 \\cdot 0.100 + (-1.000) = -0.900'
    """
    _agree("products_of", sum(float(np.prod(np.asarray(factors, float))) for factors in terms), result)
    written = [r" \cdot ".join(number(f) for f in factors) for factors in terms]
    return " + ".join(written) + f" = {result:.3f}"


def softmax_of(scores: Sequence[float], place: int, result: float) -> str:
    r"""One of the shares that a softmax makes of scores.

    Where the powers would be huge or tiny the largest score is taken from all first, which changes no share.

    Raises:
        ValueError: if the scores do not give the share.

    Example:
        >>> softmax_of([1.0, 0.0], 1, 0.2689)
        '\\frac{e^{0.000}}{e^{0.000} + 2.718} = \\frac{1.000}{3.718} = 0.269'
    """
    s = np.asarray(scores, float)
    top = float(s.max()) if abs(s.max()) > 5 else 0.0
    powers = np.exp(s - top)
    _agree("softmax_of", float(powers[place] / powers.sum()), result)
    power = f"e^{{{s[place]:.3f}{f' - {number(top)}' if top else ''}}}"
    fraction = rf"\frac{{{power}}}{{{power} + {powers.sum() - powers[place]:.3f}}}"
    return rf"{fraction} = \frac{{{powers[place]:.3f}}}{{{powers.sum():.3f}}} = {result:.3f}"


def norm_of(values: Sequence[float], place: int, scale: float, shift: float, result: float, epsilon: float) -> str:
    r"""One place of a layer norm: less the mean, over the standard deviation, times a scale, plus a shift.

    Raises:
        ValueError: if the values do not give the result.

    Example:
        >>> norm_of([5.0, 2.0, 0.0, -3.0], 0, 1.0, 0.0, 1.372, 0.0)
        '\\frac{5.000 - 1.000}{2.915} \\cdot 1.000 + 0.000 = 1.372'
    """
    v = np.asarray(values, float)
    mean, deviation = float(v.mean()), float(np.sqrt(v.var() + epsilon))
    _agree("norm_of", (v[place] - mean) / deviation * scale + shift, result)
    fraction = rf"\frac{{{v[place]:.3f} - {number(mean)}}}{{{deviation:.3f}}}"
    return rf"{fraction} \cdot {number(scale)} + {number(shift)} = {result:.3f}"


def weighted_of(
    weights: Sequence[float], values: Sequence[float], result: float, names: Sequence[str] = (),
    bias: float | None = None,
) -> str:  # fmt: skip
    r"""Weights times values, and perhaps a bias: the largest four products written out, the rest as one number.

    Args:
        weights, values: the products' factors.
        result: what the model computed.
        names: a name under each product. Default: none.
        bias: one more term, the last.

    Raises:
        ValueError: if the numbers do not give the result.

    Example:
        >>> weighted_of([2.0], [0.5], 1.1, ["user"], bias=0.1)
        '\\underbrace{2.000 \\cdot 0.500}_{\\text{user}} + 0.100 = 1.100'
    """
    w, x = np.asarray(weights, float), np.asarray(values, float)
    _agree("weighted_of", float(w @ x) + (bias or 0.0), result)
    order = np.argsort(-np.abs(w * x), kind="stable")
    shown = order if len(order) <= MOST_TERMS + 1 else order[:MOST_TERMS]
    written = [rf"{number(w[k])} \cdot {number(x[k])}" for k in shown]
    if names:
        braced = zip(written, shown, strict=True)
        written = [rf"\underbrace{{{t}}}_{{\text{{{plain(names[k])}}}}}" for t, k in braced]
    if len(shown) < len(order):
        rest = float((w * x)[order[MOST_TERMS:]].sum())
        written.append(rf"\underbrace{{{number(rest)}}}_{{\text{{{len(order) - MOST_TERMS} more}}}}")
    if bias is not None:
        written.append(number(bias))
    return (" + ".join(written) or "0") + f" = {result:.3f}"


def largest_of(terms: Sequence[float], result: float, names: Sequence[str]) -> str:
    """:func:`sum_of` with the largest terms first, so that the ones written out are those that matter.

    Example:
        >>> largest_of([0.1, -2.0], -1.9, ["a", "b"]).startswith("\\\\underbrace{(-2.000)}_{\\\\text{b}}")
        True
    """
    order = np.argsort(-np.abs(np.asarray(terms, float)), kind="stable")
    return sum_of([terms[k] for k in order], result, [plain(names[k]) for k in order])


def relu_of(value: float, result: float) -> str:
    r"""A ReLU with its result.

    Raises:
        ValueError: if it gives another one.

    Example:
        >>> relu_of(-0.5, 0.0)
        '\\mathrm{ReLU}(-0.500) = 0.000'
    """
    _agree("relu_of", max(float(value), 0.0), result)
    return rf"\mathrm{{ReLU}}({value:.3f}) = {result:.3f}"


def short_vector(values: Sequence[float]) -> str:
    r"""A vector in a line of LaTeX: its first two numbers and its last.

    Example:
        >>> short_vector([0.5, -1.0]), short_vector(range(9))
        ('(0.500,\\ -1.000)', '(0.000,\\ 1.000,\\ \\dots,\\ 8.000)')
    """
    written = [f"{float(v):.3f}" for v in values]
    if len(written) > 3:
        written = [*written[:2], r"\dots", written[-1]]
    return "(" + r",\ ".join(written) + ")"


def _agree(where: str, made: float, result: float) -> None:
    if not np.isclose(made, result, rtol=1e-3, atol=1e-3):
        raise ValueError(f"{where}: the numbers give {made:.4f}, not {result:.4f}")
