"""Words of a chapter: sentences made from results, questions that wait for the reader's answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .figures import display_bundle


def say(text: str) -> None:
    """Show a text in Markdown whose numbers were computed, so that prose cannot drift from its results.

    Indents are dropped, and a hyphen before a digit becomes a minus sign.
    """
    plain = "\n".join(line.strip() for line in text.strip().splitlines())
    plain = re.sub(r"(?<![\w-])-(?=\d)", "−", plain)
    display_bundle({"text/markdown": plain, "text/plain": plain})


def told(v: Any, brief: bool = False) -> str:
    """A verdict in prose: difference, 95 % interval, word, and what would decide an open case.

    Args:
        v: a :class:`~recsys_lite.evaluation.Verdict`, or a row of a table of verdicts.
        brief: without interval and need. Default false.

    Example:
        >>> from recsys_lite.evaluation import compare_runs
        >>> v = compare_runs([0.81, 0.83, 0.82], [0.80, 0.81, 0.81], paired=True)
        >>> told(v), told(v, brief=True)
        ('+0.0133 [−0.0010, +0.0277], undecided: about 4 seeds would decide', '+0.0133, undecided')
    """
    word = v.word.replace("δ", f"{v.delta:g}")
    if brief:
        return _minus(f"{v.difference:+.4f}, ") + word
    needed = f": {v.needed} would decide" if v.needed else ""
    return _minus(f"{v.difference:+.4f} [{v.low:+.4f}, {v.high:+.4f}], ") + word + needed


def _minus(text: str) -> str:
    return text.replace("-", "−")


def ask(answer: Any, expected: Any | Callable[[], Any], *, hint: str = "", tolerance: float = 1e-3) -> bool:
    """Check a reader's answer, and print what is missing, never the answer.

    Args:
        answer: a number, text or truth value, or several of them; ``None``, or a place left ``None``, is not answered
            yet.
        expected: what is right, or a function that computes it, so that the cell does not show it.
        hint: what to do first; shown until the answer is right.
        tolerance: of numbers.

    Returns:
        whether the answer is right.

    Example:
        >>> ask((None, 4), lambda: (2, 4), hint="Multiply first.")
        Not answered yet: put your answer in place of None (entry 1 of 2).
        Hint: Multiply first.
        False
        >>> ask((2, 5), lambda: (2, 4))
        Not yet: entry 2 of 2 is wrong.
        False
        >>> ask((2, 4), lambda: (2, 4))
        Right.
        True
    """
    right = _listed(expected() if callable(expected) else expected)
    given = _listed(answer)
    tail = f"\nHint: {hint}" if hint else ""
    if answer is None or any(a is None for a in given):
        which = [k for k, a in enumerate(given, 1) if a is None] if answer is not None else []
        print(f"Not answered yet: put your answer in place of None{_places(which, len(right))}.{tail}")
        return False
    if len(given) != len(right):
        print(f"Not yet: expected {len(right)} entries, got {len(given)}.{tail}")
        return False
    wrong = [k for k, (a, b) in enumerate(zip(given, right, strict=True), 1) if not _same(a, b, tolerance)]
    print(
        f"Not yet: {_places(wrong, len(right), '')} {'is' if len(wrong) < 2 else 'are'} wrong.{tail}"
        if wrong
        else "Right."
    )
    return not wrong


def _listed(value: Any) -> list[Any]:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, list | tuple) else [value]


def _same(given: Any, right: Any, tolerance: float) -> bool:
    number = int, float, np.number
    if isinstance(right, number) and not isinstance(right, bool):
        return isinstance(given, number) and not isinstance(given, bool) and bool(abs(given - right) <= tolerance)
    return bool(given == right)


def _places(which: list[int], of: int, frame: str = " ({})") -> str:
    """Which entries, in words; nothing for a single one with a frame."""
    if of == 1:
        return "" if frame else "the answer"
    if not which:
        return ""
    said = f"{'entry' if len(which) == 1 else 'entries'} {', '.join(map(str, which))} of {of}"
    return frame.format(said) if frame else said
