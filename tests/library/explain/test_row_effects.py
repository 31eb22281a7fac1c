"""What fields and pairs do to one row, by hand and against the mean over rows; and the strongest pair of a map."""

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from tiny import filled

from recsys_lite import explain
from recsys_lite.data.simulated.planted import PAIRS, planted, planted_pairs, planted_probability
from recsys_lite.fields import Field, Rows, Vocabulary, swap
from recsys_lite.models import FM, DeepFM, LogisticRegression

TWO = [Field(name, "categorical", Vocabulary(["x", "y"])) for name in ("user", "item")]


def of(*ids):
    return Rows(torch.tensor(ids, dtype=torch.int32), torch.zeros(len(ids), 0))


def test_by_hand():
    """z = ⟨e_user, e_item⟩ with e = 2 or 1 for the user's values and 3 or -1 for the item's, and a weight of 10."""
    model = FM(TWO, dim=1)
    with torch.no_grad():
        for name, values in (("user", [2.0, 1.0]), ("item", [3.0, -1.0])):
            for k, value in enumerate(values, 1):
                model.embedding.table.weight[model.embedding.row(name, k)] = value
        model.weights.table.weight[model.weights.row("user", 1)] = 10.0
    table = explain.row_effects(model, of([1, 1]), of([2, 2], [2, 1]))
    # z(x) = 16; user swapped: 3, 3; item swapped: 8, 16; both: -1, 3
    assert table.loc["user", "user"] == pytest.approx(13) and table.loc["item", "item"] == pytest.approx(4)
    assert (
        table.loc["user", "item"] == table.loc["item", "user"] == pytest.approx((16 - 3 - 8 - 1 + 16 - 3 - 16 + 3) / 2)
    )
    alone = explain.field_effects(model, of([1, 1]), of([2, 2], [2, 1]))
    assert alone.to_dict() == pytest.approx({"user": 13, "item": 4})


def test_one_other_row_at_a_time_it_is_the_mixed_difference():
    """An independent reference, for every kind of field: one pair, one other row, four calls of the model."""
    model, data = filled(DeepFM(tiny.FIELDS, dim=3, hidden=(5,))).eval(), tiny.rows(6)
    row, others = data[0], data[1:]
    names = [f.name for f in tiny.FIELDS]
    table = explain.row_effects(model, row, others, names)
    with torch.no_grad():
        for a, b in (("user", "price"), ("genres", "history"), ("item", "genres")):
            found = []
            for k in range(len(others)):
                z = [model(swap(tiny.FIELDS, row, chosen, others[k])) for chosen in ([a], [b], [a, b])]
                found.append((model(row) - z[0] - z[1] + z[2]).item())
            assert table.loc[a, b] == pytest.approx(sum(found) / len(found), abs=1e-5)
    pd.testing.assert_frame_equal(table, table.T)
    some = explain.row_effects(model, row, others, ["history", "user"])
    pd.testing.assert_frame_equal(some, table.loc[["history", "user"], ["history", "user"]])


def test_a_sum_has_no_pairs_and_the_row_itself_changes_nothing():
    model, data = filled(LogisticRegression(tiny.FIELDS)), tiny.rows(9)
    table = explain.row_effects(model, data[0], data[1:])
    assert np.abs(table.to_numpy() - np.diag(np.diag(table))).max() < 1e-5
    assert np.abs(np.diag(table)).min() > 1e-3
    same = explain.row_effects(filled(DeepFM(tiny.FIELDS)).eval(), data[0], data[[0, 0]])
    assert same.abs().max(axis=None) < 1e-5


@pytest.mark.parametrize(("row", "others"), [([0, 1], [2]), ([], [2]), ([0], [])])
def test_it_needs_one_row_and_others(row, others):
    data = tiny.rows(4)
    with pytest.raises(ValueError, match="one row"):
        explain.row_effects(LogisticRegression(tiny.FIELDS), data[row], data[others])


def test_an_unknown_field_is_named():
    data = tiny.rows(4)
    with pytest.raises(ValueError, match="colour"):
        explain.row_effects(LogisticRegression(tiny.FIELDS), data[0], data[1:], ["user", "colour"])


def test_the_strongest_pair():
    names = ["x", "y", "z"]
    table = pd.DataFrame([[9, 1, -4], [1, 9, 2], [-2, 2, 9]], index=names, columns=names, dtype=float)
    assert explain.strongest(table) == ("x", "z", -3.0)
    assert explain.strongest(table, "ratio") == ("y", "z", 2.0)
    table.loc["x", "z"] = float("nan")
    assert explain.strongest(table) == ("y", "z", 2.0)
    with pytest.raises(ValueError, match="no pair"):
        explain.strongest(table.loc[["x"], ["x"]])


def test_the_planted_truth_of_any_row():
    data = planted(**PAIRS)
    assert torch.equal(planted_probability(data, data.test), data.extras["probability"])
    hits = data.train.label[planted_probability(data, data.train) > 0.8]
    assert hits.mean().item() == pytest.approx(0.9, abs=0.02)  # of about 2,000 rows
    unseen = Rows(torch.zeros(1, 6, dtype=torch.int32), torch.zeros(1, 0))
    assert planted_probability(data, unseen).item() == 0.5
    with pytest.raises(ValueError, match="planted"):
        planted_probability(tiny.dataset(40), data.test)
    assert planted_pairs(data).to_numpy().sum() == 4
