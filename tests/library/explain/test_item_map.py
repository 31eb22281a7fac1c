"""Maps and neighbours of vectors, worked by hand; the films' vectors in stored models; the stored maps."""

import math

import pytest
import torch
from torch.testing import assert_close

from bench.ranking import maps as bench
from recsys_lite import store
from recsys_lite.data.interactions import interactions
from recsys_lite.explain import film_vectors as films
from recsys_lite.explain import item_map
from recsys_lite.fields import swap
from recsys_lite.store import load_retriever

STAR_WARS, TOY_STORY = "50", "1"


def angles(*degrees):
    """Vectors of length 1 to n in these directions."""
    a = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return (torch.stack([a.cos(), a.sin()], 1) * torch.arange(1, len(degrees) + 1)[:, None]).float()


def test_pca_does_not_depend_on_the_sign_or_the_order_of_the_items():
    x = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])
    places, share = item_map.pca(x)
    assert_close(places, x[:, :2].double())
    assert_close(share, torch.tensor([0.9, 0.1]).double())
    assert_close(item_map.pca(x.flip(0))[0], places.flip(0))
    assert_close(item_map.pca(x + 7)[0], places)  # the mean is taken out


def test_overlap_and_chance_by_hand():
    a, b = torch.tensor([[1, 2, 3], [0, 2, 3]]), torch.tensor([[3, 2, 9], [7, 8, 9]])
    assert_close(item_map.overlap(a, b), torch.tensor([2 / 3, 0.0]))
    assert_close(item_map.overlap(a, a), torch.ones(2))
    with pytest.raises(ValueError, match=r"overlap: got shapes \(2, 3\) and \(2, 2\)"):
        item_map.overlap(a, b[:, :2])
    torch.manual_seed(0)
    drawn = [torch.stack([torch.randperm(40)[:8] for _ in range(3000)]) for _ in range(2)]
    assert item_map.overlap(*drawn).mean().item() == pytest.approx(8 / 40, abs=0.01)


def test_chance_of_a_common_genre_counts_pairs_of_two_items():
    sets = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]).bool()  # pairs 0-1 and 1-2 of six
    assert item_map.chance_share(sets) == pytest.approx(2 / 6)
    everyone = torch.tensor([[j for j in range(4) if j != i] for i in range(4)])
    assert item_map.common_share(everyone, sets) == pytest.approx(2 / 6)


def test_a_map_keeps_what_it_keeps():
    x = angles(0, 10, 90, 100)  # nearest by cosine: 0-1, 2-3
    good = torch.tensor([[0.0, 0], [1, 0], [5, 0], [6, 0]])
    assert item_map.kept(x, good, 1) == 1.0
    assert item_map.kept(x, good[[0, 2, 1, 3]], 1) == 0.0
    half = torch.tensor([[0.0, 0], [1, 0], [5, 0], [1.5, 0]])  # 0 -> 1 kept; 1 -> 3, 2 -> 3 kept, 3 -> 1
    assert item_map.kept(x, half, 1) == 0.5
    with pytest.raises(ValueError, match="kept: got shapes"):
        item_map.kept(x, good[:3], 1)


def test_a_table_of_neighbours_by_hand():
    a, b = angles(0, 60, 90, 180), angles(0, 90, 60, 180)
    table = item_map.nearest_table({"a": a, "b": b}, ["p", "q", "r", "s"], 0, 2)
    assert table["model"].tolist() == ["a", "a", "b", "b"] and table["place"].tolist() == [1, 2, 1, 2]
    assert table["label"].tolist() == ["q", "r", "r", "q"] and table["item"].tolist() == [1, 2, 2, 1]
    assert table["cosine"].tolist() == pytest.approx([0.5, 0, 0.5, 0], abs=1e-6)
    assert table["distance"].tolist() == pytest.approx([0.5, 1, 0.5, 1], abs=1e-6)
    assert table["in all"].all()
    first = item_map.nearest_table({"a": a, "b": b}, ["p", "q", "r", "s"], 0, 1)
    assert not first["in all"].any()
    for item, k in ((4, 1), (-1, 1), (0, 4), (0, 0)):
        with pytest.raises(ValueError, match=f"item {item}, k = {k}"):
            item_map.nearest_table({"a": a}, ["p", "q", "r", "s"], item, k)
    with pytest.raises(ValueError, match="3 labels"):
        item_map.nearest_table({"a": a}, ["p", "q", "r"], 0, 1)


def test_tsne_keeps_groups_and_repeats_itself():
    torch.manual_seed(1)
    centres = torch.eye(3, 6).repeat_interleave(20, 0)
    x = centres + torch.randn(60, 6) * 0.05
    places = item_map.tsne(x, 3, perplexity=8)
    assert (item_map.tsne(x, 3, perplexity=8) == places).all()
    group = torch.arange(60) // 20
    near = torch.cdist(places, places).fill_diagonal_(torch.inf).topk(5, largest=False).indices
    assert (group[near] == group[:, None]).all()
    with pytest.raises(ValueError, match="60 items are too few for a perplexity of 20"):
        item_map.tsne(x, perplexity=20)


def test_films_often_rated(movielens, criteo):
    count = movielens.extras["items"]["popularity"]
    for least in films.LEAST:
        raw = films.often_rated(movielens, least)
        assert len(set(raw)) == len(raw) == int((count >= least).sum())
    assert STAR_WARS in films.often_rated(movielens, 100)
    with pytest.raises(ValueError, match="has no films"):
        films.often_rated(criteo)


@pytest.mark.slow("compares all scores of all retrievers")
def test_vectors_of_retrievers_are_those_that_score(movielens):
    data = interactions()
    raw = [str(r) for r in data.items if str(r) in set(films.often_rated(movielens, 1))]
    column = [list(map(str, data.items)).index(r) for r in raw]
    for name in ("mf", "lightgcn"):
        model = load_retriever(name, data)
        users = model.propagate()[: data.num_users][:7].detach()
        got = users @ films.film_vectors(name, movielens, raw).T
        assert_close(got, model.scores(torch.arange(7))[:, column].detach(), rtol=1e-4, atol=1e-4)
    towers = load_retriever("two_towers", data)
    got = films.film_vectors("two_towers, retrieval", movielens, raw, data)
    assert_close(got, towers.vectors()[column].detach())


def test_vectors_of_click_models_are_the_rows_of_the_table(movielens):
    model = store.load_model(store.weights_path("movielens-100k", "click", "fm"), movielens.fields)
    place = movielens.field("item").vocabulary.encode([STAR_WARS, TOY_STORY])
    rows = model.embedding.table.weight[model.embedding.row("item") + torch.as_tensor(place).long()]
    assert_close(films.film_vectors("fm", movielens, [STAR_WARS, TOY_STORY]), rows.detach())
    with pytest.raises(ValueError, match="unknown model 'ease'"):
        films.film_vectors("ease", movielens, [STAR_WARS])
    for name in ("fm", "mf"):
        with pytest.raises(ValueError, match="never showed film '99999'"):
            films.film_vectors(name, movielens, [STAR_WARS, "99999"])


def test_models_that_read_numbers_only(movielens):
    """Other genres and years move the logit of every click model but those said to read numbers only."""
    rows, other = movielens.test[torch.arange(200)], movielens.test[torch.arange(200, 400)]
    for name in [m for m in films.known(movielens) if m not in films.RETRIEVERS]:
        model = store.load_model(store.weights_path("movielens-100k", "click", name), movielens.fields)
        moved = swap(model.fields, rows, ["genres", "release_year"], other)
        with torch.no_grad():
            same = torch.allclose(model(rows), model(moved))
        assert same == (name in films.NUMBERS_ONLY), name


def test_stored_maps_are_those_of_the_stored_weights(movielens):
    for name in films.known(movielens):
        for least in films.LEAST:
            raw = films.often_rated(movielens, least)
            places = films.stored_map(name, movielens, least)
            assert places.shape == (len(raw), 2) and places.isfinite().all()
    for name in ("ncf", "lightgcn"):
        x = films.film_vectors(name, movielens, films.often_rated(movielens, 50))
        on_map = item_map.kept(x, films.stored_map(name, movielens, 50))
        assert on_map > 2 * item_map.kept(x, item_map.pca(x)[0])  # the map that is for neighbours keeps more of them
    with pytest.raises(ValueError, match="no map of 'fm' with at least 7"):
        films.stored_map("fm", movielens, 7)
    files = [films.MAPS.with_suffix(s) for s in (".json", ".safetensors")]
    assert sum(f.stat().st_size for f in files) <= 300_000


def test_a_map_of_other_weights_is_refused(movielens, tmp_path, monkeypatch):
    record = store.read_json(films.MAPS.with_suffix(".json"))
    record["models"]["fm"] = "0" * 64
    store.write_json(tmp_path / "maps.json", record)
    store.write_tensors(tmp_path / "maps.safetensors", store.read_tensors(films.MAPS.with_suffix(".safetensors")))
    monkeypatch.setattr(films, "MAPS", tmp_path / "maps")
    with pytest.raises(ValueError, match="other weights or films than"):
        films.stored_map("fm", movielens, 20)
    assert len(films.stored_map("ncf", movielens, 20))
    monkeypatch.setattr(films, "MAPS", tmp_path / "nothing")
    with pytest.raises(ValueError, match="does not exist"):
        films.stored_map("fm", movielens, 20)


@pytest.mark.slow("computes maps")
def test_the_bench_makes_only_what_is_missing(tmp_path, monkeypatch):
    made = []

    def flat(vectors, seed, perplexity):
        made.append(len(vectors))
        return vectors[:, :2]

    monkeypatch.setattr(bench, "FILE", tmp_path / "maps.json")
    monkeypatch.setattr(bench, "LEAST", (50, 100))
    monkeypatch.setattr(bench, "known", lambda dataset: ["fm", "mf"])
    monkeypatch.setattr(bench.item_map, "tsne", flat)
    monkeypatch.setattr("sys.argv", ["maps"])
    bench.main()
    assert len(made) == 4 and len(set(made)) == 2
    bench.main()
    assert len(made) == 4
    record = store.read_json(tmp_path / "maps.json")
    assert record["about"]["seed"] == 0 and sorted(record["models"]) == ["fm", "mf"]
    record["models"]["mf"] = "other weights"
    store.write_json(tmp_path / "maps.json", record)
    bench.main()
    assert len(made) == 6
    monkeypatch.setattr("sys.argv", ["maps", "--fresh"])
    bench.main()
    assert len(made) == 10
