"""Made-up strings of letters whose labels follow what stands together, beside, before, far back, or nothing."""

from __future__ import annotations

import torch

from ...fields import Dataset, Field, Rows, Vocabulary

ALPHABET = "abcdefghijklmnopqrstuvwx"
TASKS = ("together", "next to", "before", "far", "bag", "random")


def orders(task: str, seed: int, letters: int = 8, back: int = 1, rows: int = 2000) -> Dataset:
    """Two fields of six values and a string in which every letter of an alphabet stands once, in random order.

    The label follows one rule, without noise:

    - ``together``: user and film are both even or both odd;
    - ``next to``: a and b are neighbours;
    - ``before``: a stands before b;
    - ``far``: the letter that stands ``back`` places from the end (1: the last) is from the first half of the alphabet;
    - ``bag``: a and b are both or neither in the string, of which half of the letters are left. Order says nothing.
    - ``random``: a fair coin.

    But for ``bag``, every string has the same letters, so a model that does not know their order can learn nothing
    from it.

    Args:
        task: the rule.
        seed: of the rows.
        letters: in the alphabet, an even number from 2 to 24. Default 8.
        back: of ``far``, from 1 to ``letters``.
        rows: for training; a quarter as many to validate and half as many to test.

    Returns:
        a data set with the fields ``user``, ``film`` and the history ``letters``, the last letter **first**, as in all
        histories.

    Raises:
        ValueError: for another task, or a number out of range.

    Example:
        >>> data = orders("before", 0)
        >>> "".join(data.fields[2].vocabulary.label(i) for i in data.train.bags["letters"][0].flip(0).tolist())
        'cadfbegh'
    """
    if task not in TASKS:
        raise ValueError(f"orders: unknown task {task!r}; there are {', '.join(TASKS)}")
    if letters % 2 or not 2 <= letters <= len(ALPHABET) or not 1 <= back <= letters or rows < 4:
        raise ValueError(f"orders: numbers out of range, got {letters=}, {back=}, {rows=}")
    g, count = torch.Generator().manual_seed(seed), rows + rows // 4 + rows // 2
    ids = torch.randint(1, 7, (count, 2), generator=g).int()  # 0 is a value that was never seen
    strings = torch.rand(count, letters, generator=g).argsort(1) + 1  # 1 is a
    if task == "bag":
        strings = strings[:, : letters // 2]
    in_it = [strings.eq(k).any(1) for k in (1, 2)]
    a, b = (strings.eq(k).int().argmax(1) for k in (1, 2))
    label = {
        "together": ids.sum(1) % 2 == 0,
        "next to": (a - b).abs() == 1,
        "before": a < b,
        "far": strings[:, -min(back, strings.shape[1])] <= letters // 2,
        "bag": in_it[0] == in_it[1],
        "random": torch.rand(count, generator=g) < 0.5,
    }[task]
    six = Vocabulary(range(6))
    text = Field("letters", "history", Vocabulary(list(ALPHABET[:letters])), length=strings.shape[1])
    fields = (Field("user", "categorical", six), Field("film", "categorical", six), text)
    made = Rows(ids, torch.zeros(count, 0), {"letters": strings.flip(1).int()}, label.float())
    first, second = rows, rows + rows // 4
    return Dataset("planted", task, fields, made[:first], made[first:second], made[second:])
