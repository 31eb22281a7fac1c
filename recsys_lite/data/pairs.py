"""Text files of whole numbers: lines with the place where they stand, and raw numbers that become places from 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

LARGEST = 2**63 - 1


def text_lines(path: Path, expected: str) -> Iterator[tuple[str, str]]:
    """Where each line stands, in words, and the line.

    Args:
        path: UTF-8.
        expected: the files that should be there, for the message.

    Raises:
        ValueError: if there is no such file, it is empty, or a byte is not UTF-8, naming file and line.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; expected {expected}")
    data = path.read_bytes()
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{path.name}, line {line}: byte {error.start + 1:,} of the file is not UTF-8") from None
    if not lines:
        raise ValueError(f"{path.name} is empty")
    yield from ((f"{path.name}, line {k}", line) for k, line in enumerate(lines, 1))


def whole_numbers(where: str, texts: Sequence[str], what: str = "") -> list[int]:
    """Texts as whole numbers of 0 to 2^63 - 1.

    Raises:
        ValueError: naming the place, what was got and what was expected.

    Example:
        >>> whole_numbers("line 1", ["7", "12"])
        [7, 12]
    """
    for text in texts:
        told = f"{what} is {text[:40]!r}" if what else f"got {text[:40]!r}"
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{where}: {told}, expected {'a whole number' if what else 'whole numbers'} of at least 0")
        if len(text.lstrip("0")) > 19 or int(text) > LARGEST:
            raise ValueError(f"{where}: {told}, expected at most {LARGEST:,}")
    return [int(text) for text in texts]


def numbered(*columns: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The different raw numbers of some columns, ascending, and the columns with each number's place among them.

    Memory follows how many numbers there are, not how large they are.

    Example:
        >>> raw, (train, test) = numbered(np.array([30, 7_000_000_000]), np.array([30, 5]))
        >>> raw.tolist(), train.tolist(), test.tolist()
        ([5, 30, 7000000000], [1, 2], [1, 0])
    """
    raw = np.unique(np.concatenate([c.ravel() for c in columns]))
    return raw, [np.searchsorted(raw, c) for c in columns]
