"""What moved a score: exact sums, edges taken out and the model computed anew, history taken out of a query."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys_lite.data.interactions import Interactions
from recsys_lite.explain.retrieval import layer_parts, moved_by
from recsys_lite.fields import Field, Rows, Vocabulary, pad
from recsys_lite.models import EASE, ItemKNN, LightGCN, Popularity

RAW = [11, 12, 14, 17, 19]  # raw numbers of five items; the last is in no training row
HISTORY = [[1, 2], [2, 0, 3], [4], []]  # rows of the vocabulary below; 0 is unseen


def small():
    train = torch.tensor([[0, 0], [0, 1], [1, 1], [1, 2], [2, 3], [3, 0], [3, 1], [3, 3], [0, 3]])
    pairs = torch.tensor([[0, 2]]), torch.tensor([[1, 3]])
    films = Vocabulary(RAW[:4])
    users = Rows(torch.arange(4)[:, None].int(), torch.zeros(4, 0), {"history": pad(HISTORY, 3)})
    fields = Field("user", "categorical", Vocabulary(range(4))), Field("history", "history", films, length=3)
    queries = {"train": users[train[:, 0]], "known": users, "fresh": users}
    items = Rows(torch.tensor([[1], [2], [3], [4], [0]], dtype=torch.int32), torch.zeros(5, 0))
    titles = {str(raw): f"film {raw}" for raw in RAW}
    item = (Field("item", "categorical", films),)
    return Interactions("small", train, *pairs, np.arange(4), np.array(RAW), fields, item, queries, items, titles)


DATA = small()


@pytest.mark.parametrize("retriever", [EASE(DATA, 1.0), ItemKNN(DATA, 3, 0.5)])
def test_the_changes_of_sums_over_the_history_are_its_terms_and_add_up_to_the_score(retriever):
    for user in range(4):
        for item in range(5):
            table = moved_by(retriever, DATA, user, item)
            assert set(table["item"]) == set(DATA.train[DATA.train[:, 0] == user, 1].tolist())
            score = retriever.scores(torch.tensor([user]))[0, item].item()
            assert table["change"].sum() == pytest.approx(score, abs=1e-5)
            assert table["change"].is_monotonic_decreasing
            assert table["title"].tolist() == [f"film {RAW[h]}" for h in table["item"]]
            for h, change in zip(table["item"], table["change"], strict=True):
                x = retriever.x[user].clone()
                x[h] = 0
                assert score - (x @ retriever.weights)[item].item() == pytest.approx(change, abs=1e-5)


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_the_change_of_an_edge_is_that_of_a_model_built_without_it(layers):
    torch.manual_seed(layers)
    model = LightGCN(DATA, dim=4, layers=layers, std=1.0)
    before = model.state_dict()["table"].clone()
    for user in range(4):
        for item in (0, 2, 4):
            table = moved_by(model, DATA, user, item).set_index("item")["change"]
            for h in table.index:
                kept = (DATA.train != torch.tensor([user, h])).any(1)
                other = LightGCN(replace(DATA, train=DATA.train[kept], queries=DATA.queries | {
                    "train": DATA.queries["train"][kept]}), dim=4, layers=layers)  # fmt: skip
                other.load_state_dict(model.state_dict())
                users = torch.tensor([user])
                expected = (model.scores(users) - other.scores(users))[0, item].item()
                assert table[h] == pytest.approx(expected, abs=1e-5)
    assert (model.table == before).all()
    if not layers:  # matrix factorisation has no history in its score
        assert (moved_by(model, DATA, 0, 2)["change"] == 0).all()


class Queries:
    """Stands for two towers: the score of item i is the mean over the history of 10 h + i."""

    queries = DATA.queries["known"]

    def scores_of(self, rows):
        bag = rows.bags["history"].float()
        mean = (bag * (bag >= 0)).sum(1) / (bag >= 0).sum(1).clamp(min=1)
        return 10 * mean[:, None] + torch.arange(5)

    def scores(self, users):
        return self.scores_of(self.queries[users])


def test_a_querys_history_is_taken_out_item_by_item_and_the_rest_weighs_more():
    table = moved_by(Queries(), DATA, 0, 2).set_index("item")["change"]
    assert table.to_dict() == {1: 5.0, 0: -5.0}  # rows 1 and 2 are items 0 and 1: the mean 15 becomes 20 or 10
    assert table.index.tolist() == [1, 0]
    table = moved_by(Queries(), DATA, 1, 0).set_index("item")["change"]
    assert set(table.index) == {1, 2}  # what training never showed has no number, and stays
    assert moved_by(Queries(), DATA, 2, 0)["change"].tolist() == [40.0]
    assert len(moved_by(Queries(), DATA, 3, 0)) == 0


def test_the_parts_by_layers_add_up_to_the_score():
    for combine in ("mean", "last", "sum"):
        torch.manual_seed(1)
        model = LightGCN(DATA, dim=4, layers=2, combine=combine, std=1.0)
        for user in range(4):
            scores = model.scores(torch.tensor([user]))[0]
            for item in range(5):
                parts = layer_parts(model, user, item)
                assert parts.shape == (3, 3) and parts.to_numpy().sum() == pytest.approx(scores[item].item(), abs=1e-5)
        dot = (model.table[0] @ model.table[4 + 1]).item() * model.alpha[0] ** 2
        assert layer_parts(model, 0, 1).loc["0", "0"] == pytest.approx(dot, abs=1e-6)


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="Popularity does not say how a user's history enters"):
        moved_by(Popularity(DATA), DATA, 0, 0)
    with pytest.raises(ValueError, match="user 4, item 0; there are 4 users and 5 items"):
        moved_by(EASE(DATA), DATA, 4, 0)
    bare = Queries()
    bare.queries = Rows(torch.zeros(4, 1).int(), torch.zeros(4, 0))
    with pytest.raises(ValueError, match="no field 'history'"):
        moved_by(bare, DATA, 0, 0)
