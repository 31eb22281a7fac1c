"""Full ranking in blocks of users: the numbers of the plain definition on whole tables, to the last bit."""

import math

import pandas as pd
import pytest
import torch
from small import Largest, of_pairs, random_pairs

from recsys_lite.data.item_sets import ItemSets
from recsys_lite.data.leave_one_out import LeaveOneOut
from recsys_lite.evaluation import earlier, full_ranking, hit_rate, ndcg, per_user, place, places, top_k
from recsys_lite.evaluation.slices import recall_by_degree

USERS, ITEMS = 40, 30


class Table(torch.nn.Module):
    """Scores from a table, and how many users were asked for at once."""

    def __init__(self, table):
        super().__init__()
        self.table, self.asked = table, []

    def scores(self, users):
        self.asked.append(len(users))
        return self.table[users]

    def forward(self, rows):
        user, item = rows.ids.long().T - 1
        return self.table[user, item]


def made(seed):
    """Data, and scores with many ties; every third seed has infinite ones, too."""
    data = of_pairs(*random_pairs(seed, USERS, ITEMS, [300, 120, 160]), USERS, ITEMS)
    g = torch.Generator().manual_seed(seed)
    table = torch.randint(2 + 2 * seed, (USERS, ITEMS), generator=g).float()
    if seed % 3 == 0:
        table[table == 0], table[table == 1] = -math.inf, math.inf
    return data, Table(table)


def by_tables(retriever, data, part, k):
    """The definition: every wanted item against all rivals."""
    known, wanted = data.mask(*earlier(part)), data.mask(part)
    user, item = wanted.nonzero().T
    above, tied = place(retriever.table[user], retriever.table[user, item], ~known[user])
    return user, item, above, tied - 1


@pytest.fixture(params=[None, 7])
def block(request, monkeypatch):
    """As it is, and blocks of seven users."""
    if request.param:
        monkeypatch.setattr(full_ranking, "BLOCK", request.param * ITEMS * 4 + 1)
    return request.param


@pytest.mark.parametrize("k", [1, 5, 29, 50])
@pytest.mark.parametrize("seed", range(6))
def test_metrics_are_those_of_whole_tables(seed, k, block):
    data, retriever = made(seed)
    for part in ("validation", "test"):
        user, item, above, tied = by_tables(retriever, data, part, k)
        hit, gain = hit_rate(above, tied, k).double(), ndcg(above, tied, k).double()
        groups = pd.DataFrame({"user": user, "hit": hit, "gain": gain}).groupby("user")
        ideal = (1 / torch.log2(torch.arange(k, dtype=torch.float64) + 2)).cumsum(0).numpy()
        found = per_user(retriever, data, part, k)
        assert found["user"].tolist() == list(groups.groups)
        assert (found["recall"].to_numpy() == groups["hit"].mean().to_numpy()).all()
        expected = groups["gain"].sum().to_numpy() / ideal[groups.size().clip(upper=k) - 1]
        assert (found["ndcg"].to_numpy() == expected).all()
        sliced = recall_by_degree(retriever, data, part, k, bounds=[5])
        few = data.degree()[item] < 5
        expected = {"0 to 4": hit[few].mean().item(), "5 or more": hit[~few].mean().item()}
        assert dict(zip(sliced["training interactions"], sliced["recall"], strict=True)) == pytest.approx(expected)
    assert max(retriever.asked) == 7 if block else min(retriever.asked) > 30


@pytest.mark.parametrize("seed", range(4))
def test_lists_are_those_of_whole_tables(seed, block):
    data, retriever = made(seed)
    known = ItemSets.of(data, "train")
    users = torch.arange(USERS).flip(0)
    free = known.count[users] <= ITEMS - 5
    for asked, seen in ((users, None), (users[free], known), (users[free], known.mask()[users[free]])):
        scores = retriever.table[asked]
        expected = (scores if seen is None else scores.masked_fill(known.mask(asked), -math.inf)).topk(5, 1)
        values, items = top_k(retriever, asked, 5, seen)
        assert torch.equal(values, expected.values) and torch.equal(items, expected.indices)
    full = ItemSets(torch.stack([torch.full((ITEMS,), 3), torch.arange(ITEMS)], 1), USERS, ITEMS)
    with pytest.raises(ValueError, match="user number 3 has fewer than 1 items left"):
        top_k(retriever, torch.tensor([2, 3]), 1, full)


def test_nan_is_named_wherever_it_stands():
    data, retriever = made(1)
    user, item = data.train[0].tolist()
    retriever.table[user, item] = math.nan  # known, so no candidate; but such scores are worth nothing
    with pytest.raises(ValueError, match="NaN"):
        per_user(retriever, data)


def test_no_table_of_all_pairs_is_made(monkeypatch):
    users, items = 600, 200
    monkeypatch.setattr(full_ranking, "BLOCK", 10 * items * 4)  # ten users
    data = of_pairs(*random_pairs(0, users, items, [1500, 300, 300]), users, items)
    retriever = Table(torch.rand(users, items, generator=torch.Generator().manual_seed(0)))
    known = ItemSets.of(data, "train")
    with Largest() as all_made:
        per_user(retriever, data)
        recall_by_degree(retriever, data)
        top_k(retriever, torch.arange(users), 20, known)
    assert max(retriever.asked) == 10
    assert (
        all_made.size <= users * 20 < users * items / 9
    )  # lists; a block has 2,000 scores, the pairs are 4,200 numbers


@pytest.mark.parametrize("part", ["validation", "test"])
def test_leave_one_out_makes_none_either(part):
    users, items = 500, 200
    g = torch.Generator().manual_seed(0)
    own = torch.rand(users, items, generator=g).topk(5, 1).indices
    train = torch.stack([torch.arange(users).repeat_interleave(3), own[:, :3].flatten()], 1)
    negatives = torch.randint(items, (users, 9), generator=g)
    names = torch.arange(users).numpy(), torch.arange(items).numpy()
    data = LeaveOneOut("small", train, own[:, 3], own[:, 4], negatives, *names)
    table = Table(torch.randint(40, (users, items), generator=g).float())
    with Largest() as all_made:
        above, tied = places(table, data, part)[""]
    assert all_made.size <= 2**14 * 2 < users * items / 3  # a block of rows, user and item
    rival = ~data.mask("train", "validation", part)
    target = getattr(data, part)
    expected = place(table.table, table.table[torch.arange(users), target], rival)
    assert torch.equal(above, expected[0]) and torch.equal(tied, expected[1])
