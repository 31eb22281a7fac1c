"""Candidates for new users: a user of the training, known by the items alone, gets the list that the training gives."""

import math

import pytest
import torch
from small import of_pairs, small
from tiny import filled
from torch.testing import assert_close

from recsys_lite.evaluation import top_k
from recsys_lite.models import EASE, ItemKNN, LightGCN, NextItem, Popularity, TowerRetriever, TwoTowers
from recsys_lite.retrieval import recommend

DATA = small()


def items_of(user):
    return DATA.items[DATA.train[DATA.train[:, 0] == user, 1].numpy()].tolist()


@pytest.mark.parametrize("make", [EASE, ItemKNN, Popularity])
@pytest.mark.parametrize("again", [False, True])
def test_the_items_of_a_user_give_the_users_list(make, again):
    model, users = make(DATA), torch.arange(DATA.num_users)
    found = recommend(model, DATA, [items_of(u) for u in range(12)], k=3, again=again)
    values, _ = top_k(model, users, 3, None if again else DATA.mask("train"))
    assert_close(torch.tensor(found["score"].to_numpy()).view(12, 3), values)
    expected = model.scores(users).gather(1, torch.tensor(found["item"].to_numpy()).view(12, 3))
    assert_close(expected, values)
    assert found["user"].tolist()[:4] == [0, 0, 0, 1] and found["rank"].tolist()[:4] == [1, 2, 3, 1]
    if not again:
        assert not any(item in items_of(u) for u, item in zip(found["user"], found["item"], strict=True))


@pytest.mark.parametrize("reader", ["lstm", "mean"])
def test_the_next_item_reads_the_list(reader):
    model = filled(NextItem(DATA, dim=4, reader=reader)).eval()
    history = DATA.query_fields[1].vocabulary
    known = [[history.decode(int(r)) for r in bag if r >= 0] for bag in DATA.queries["known"].bags["history"]]
    found = recommend(model, DATA, known, k=9, again=True)
    assert_close(torch.tensor(found["score"].to_numpy()).view(12, 9), model.scores(torch.arange(12)).topk(9).values)


def test_towers_read_the_list_and_features():
    fields = DATA.query_fields + DATA.candidate_fields
    towers = filled(TwoTowers(fields, query=["user", "history"], candidate=["item", "kind"], dim=4)).eval()
    model = TowerRetriever(towers, DATA).eval()
    history = DATA.query_fields[1].vocabulary
    known = [[history.decode(int(r)) for r in bag if r >= 0] for bag in DATA.queries["known"].bags["history"]]
    found = recommend(model, DATA, known, k=9, again=True, features=[{"user": u} for u in range(12)])
    assert_close(torch.tensor(found["score"].to_numpy()).view(12, 9), model.scores(torch.arange(12)).topk(9).values)
    rows = DATA.queries["known"][torch.arange(12)]
    rows.ids = torch.zeros_like(rows.ids)  # nobody of the training
    new = recommend(model, DATA, known, k=9, again=True)
    assert_close(torch.tensor(new["score"].to_numpy()).view(12, 9), model.scores_of(rows).topk(9).values)
    with pytest.raises(ValueError, match="user 0 has the feature 'age', which these towers do not read"):
        recommend(model, DATA, [[1]], features=[{"age": 3}])
    with pytest.raises(ValueError, match="user 0, field 'user': expected one value"):
        recommend(model, DATA, [[1]], features=[{"user": [1]}])
    deaf = TowerRetriever(TwoTowers(fields, query=["user"], candidate=["item"]), DATA).eval()
    with pytest.raises(ValueError, match="read no 'history'"):
        recommend(deaf, DATA, [[1]])


def test_by_hand():
    """Items 0 and 1 are taken together by two of three; without shrinkage their cosine is 2 / sqrt(2 · 3)."""
    data = of_pairs([[0, 0], [0, 1], [1, 0], [1, 1], [2, 1], [2, 2]], [[0, 3]], [[1, 3]], users=3, items=4)
    found = recommend(ItemKNN(data, shrink=0), data, [["0", 77, 0.0]], k=2)
    assert found["item"].tolist()[0] == 1 and found["score"].tolist() == pytest.approx([2 / 6**0.5, 0])


def test_a_list_is_weighed_by_age_where_the_retriever_is():
    """The latest stands first and weighs 1, the one before it 1/2 with τ = 1 / ln 2."""
    data = of_pairs([[0, 0], [0, 2], [1, 1], [1, 3]], [[0, 1]], [[1, 0]], users=2, items=4)
    knn = ItemKNN(data, shrink=0, recency=1 / math.log(2))  # 0 and 2 are alike, 1 and 3 are
    found = recommend(knn, data, [[0, 1], [1, 0]], k=2)
    assert found["item"].tolist() == [2, 3, 3, 2] and found["score"].tolist() == pytest.approx([1, 0.5, 1, 0.5])


def test_what_cannot_be_recommended_is_named():
    with pytest.raises(ValueError, match="LightGCN knows users by vectors"):
        recommend(LightGCN(DATA), DATA, [[1]])
    with pytest.raises(ValueError, match=r"none of the items of user 1 is known, got \['x'\]"):
        recommend(EASE(DATA), DATA, [[1], ["x"]])
    with pytest.raises(ValueError, match="expected a list of items for each user"):
        recommend(EASE(DATA), DATA, [1, 2])
    with pytest.raises(ValueError, match="1 users have features, 2 have items"):
        recommend(EASE(DATA), DATA, [[1], [2]], features=[{}])
    with pytest.raises(ValueError, match="fewer than 10 items left"):
        recommend(EASE(DATA), DATA, [[1]])
