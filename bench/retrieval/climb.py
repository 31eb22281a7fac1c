"""The search for settings that gives every model the same number of trials and leaves no best value on an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Setting = dict[str, Any]
#: name -> the values that it may have, in order
Ladders = Mapping[str, Sequence[Any]]


def best(tried: Sequence[tuple[Setting, float]]) -> Setting:
    """The setting of the highest value; of equal ones the first."""
    return max(tried, key=lambda t: t[1])[0]


def propose(
    ladders: Ladders, start: Setting, tried: Sequence[tuple[Setting, float]], limit: int
) -> Setting | None:  # fmt: skip
    """The next setting to try, or None after ``limit`` of them.

    First the start; then a neighbour of the best one so far, which differs in one value by one step of its ladder; when
    all of these have been tried, by two steps, and so on. So a best value is left only after both of its neighbours.

    Example:
        >>> propose({"lr": [1, 3, 10]}, {"lr": 3}, [({"lr": 3}, 0.5), ({"lr": 10}, 0.6)], 4) is None
        False
    """
    if len(tried) >= limit:
        return None
    known = [setting for setting, _ in tried]
    if start not in known:
        return start
    middle = best(tried)
    for far in range(1, max(len(values) for values in ladders.values())):
        for name, values in ladders.items():
            at = list(values).index(middle[name])
            for place in (at + far, at - far):
                if 0 <= place < len(values) and (one := middle | {name: values[place]}) not in known:
                    return one
    return None
