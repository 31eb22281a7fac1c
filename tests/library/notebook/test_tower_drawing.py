"""The drawing of one pair in trained towers: dimensions, numbers, and the rank among the candidates."""

import pytest
import torch
from small import of_pairs
from tiny import filled

from recsys_lite.models import TowerRetriever
from recsys_lite.models.two_towers import TwoTowers
from recsys_lite.notebook.tower_drawing import tower_drawing

DATA = of_pairs([[0, 0], [1, 4]], [[0, 1], [1, 3]], [[0, 2], [1, 0]])


def towers():
    fields = DATA.query_fields + DATA.candidate_fields
    model = filled(
        TwoTowers(fields, ["user"], ["item"], dim=3, hidden=(4,), out=2, similarity="cosine", temperature=0.5)
    )
    return TowerRetriever(model, DATA).eval()


def test_it_shows_dimensions_the_best_candidate_and_its_score():
    retriever, seen = towers(), DATA.mask("train")[0]
    svg, item, rank = tower_drawing(retriever, 0, seen)
    scores = retriever.scores(torch.tensor([0]))[0]
    assert rank == 1 and item == int(scores.masked_fill(seen, -torch.inf).argmax())
    assert "1 × 3 = 3" in svg and svg.count("4 → 2") == 2 and "of 4 candidates" in svg
    assert f"score {float(scores[item]):.2f}".replace("-", "−") in svg


def test_a_given_item_has_its_rank_and_a_seen_one_is_refused():
    retriever, seen = towers(), DATA.mask("train")[0]
    order = retriever.scores(torch.tensor([0]))[0].masked_fill(seen, -torch.inf).argsort(descending=True)
    assert tower_drawing(retriever, 0, seen, int(order[2]))[2] == 3
    with pytest.raises(ValueError, match="no candidate"):
        tower_drawing(retriever, 0, seen, 0)
    with pytest.raises(ValueError, match="no user 9"):
        tower_drawing(retriever, 9, seen)
