"""The explorer's pages: a new one is a file, its ``page()`` first, and a line here.

Nothing that two pages share: that is a part, and no page imports another.
"""

from __future__ import annotations

from types import ModuleType

from . import compare, embeddings, inside, leaderboard, own_data, position, race, retrieval, serving, steps

#: section -> address of a page -> its module, its title
PAGES: dict[str, dict[str, tuple[ModuleType, str]]] = {
    "One row": {"compare": (compare, "Compare models"), "steps": (steps, "Step through")},
    "Inside": {"inside": (inside, "Look inside"), "embeddings": (embeddings, "Where films lie")},
    "Lists": {
        "retrieval": (retrieval, "Find candidates"),
        "serving": (serving, "Serving cost"),
        "position": (position, "Position bias"),
    },
    "Train": {"race": (race, "Train live"), "own_data": (own_data, "Your data")},
    "Results": {"leaderboard": (leaderboard, "Leaderboard")},
}
