"""The look inside where the truth is known, and a model's own map beside what its logit does."""

import re

import pandas as pd
import pytest
from explorer import on_page

from app.parts import pair_maps
from recsys_lite import explain
from recsys_lite.data.simulated.planted import PAIRS, planted, planted_pairs

MODELS = ["fm", "deepfm", "dlrm", "dcn", "dcn_v2", "gdcn", "autoint", "dhen"]


@pytest.mark.parametrize("model", MODELS)
def test_swapping_finds_the_planted_pairs_of_every_model(model):
    app = on_page("inside", data="planted.pairs", model=model)
    said = "\n".join(m.value for m in app.markdown)
    assert re.search(r"By swapping the planted pairs stand: . × . at [12], . × . at [12] \(AUC 1\.00\)", said)
    assert not app.error and not app.warning


def test_the_truth_is_what_was_planted():
    dataset = planted(**PAIRS)
    table = planted_pairs(dataset)
    assert (table == table.T).all(axis=None) and table.to_numpy().sum() == 2 * len(dataset.extras["crosses"])
    for a, b in dataset.extras["crosses"]:
        assert table.loc[a, b] == 1


def test_views_side_by_side_by_hand():
    names = ["x", "y", "z"]
    own = pd.DataFrame([[9, 1, -2], [3, 9, 0], [4, 0, 9]], index=names, columns=names, dtype=float)
    swapped = pd.DataFrame(
        [("x", "y", 0.1, 0.0), ("x", "z", 0.7, 0.2), ("y", "z", 0.0, 0.1)], columns=["a", "b", "strength", "log_loss"]
    )
    truth = pd.DataFrame([[0, 0, 1], [0, 0, 0], [1, 0, 0]], index=names, columns=names, dtype=float)
    table = explain.beside(own, swapped, truth)
    assert table["own"].tolist() == [3.0, 2.0, 0.0] and table["planted"].tolist() == [1.0, 0.0, 0.0]
    said = pair_maps.in_words("Weights", table)
    assert "rank correlation of 1.00" in said and "By weights the planted pairs stand: x × z at 1 (AUC 1.00)" in said
