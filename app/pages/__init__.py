"""The explorer's pages: a new one is a file, its ``page()`` first, and a line here.

Nothing that two pages share: that is a part, and no page imports another.
"""

from __future__ import annotations

from types import ModuleType

from . import compare, embeddings, game, inside, leaderboard, own_data, position, race, retrieval, serving, steps

#: section -> address of a page -> its module, its title
PAGES: dict[str, dict[str, tuple[ModuleType, str]]] = {
    "": {"compare": (compare, "Compare")},
    "Look inside": {
        "steps": (steps, "Step by step"),
        "inside": (inside, "Pairs of one model"),
        "embeddings": (embeddings, "Where films lie"),
    },
    "Recommend": {"retrieval": (retrieval, "Find candidates")},
    "Play": {"game": (game, "Spot the pair")},
    "Train": {"race": (race, "Two models, live"), "own_data": (own_data, "Your data")},
    "Results": {
        "leaderboard": (leaderboard, "Leaderboard"),
        "position": (position, "Position bias"),
        "serving": (serving, "Serving cost"),
    },
}
