"""GMF, MLP and NeuMF: identities, pre-training, and the benchmark that compares them."""

import json

import pytest
import torch
from bench_pool import here
from torch.testing import assert_close

import bench.ranking.ncf as bench
from recsys_lite.data.leave_one_out import leave_one_out
from recsys_lite.evaluation import places, score_all
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, NeuMF, Popularity, WideDeep
from recsys_lite.store import RESULTS, read_json
from recsys_lite.training import Result

USERS, ITEMS = 9, 12
FIELDS = (
    Field("user", "categorical", Vocabulary(list(range(USERS)))),
    Field("item", "categorical", Vocabulary(list(range(ITEMS)))),
)
ALL = Rows(torch.cartesian_prod(torch.arange(1, USERS + 1), torch.arange(1, ITEMS + 1)).int(), torch.zeros(108, 0))


def random(model, seed=0):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.5)
    return model


def test_gmf_with_h_of_ones_is_matrix_factorisation_in_values_gradients_and_order():
    gmf, mf = random(NeuMF(FIELDS, dim=4, hidden=())), FM(FIELDS, dim=4)
    with torch.no_grad():
        gmf.h.fill_(1)
        mf.embedding.table.weight.copy_(gmf.gmf.table.weight)  # weights and bias of mf start at zero
    table = gmf.gmf.table.weight
    explicit = (table[ALL.ids[:, 0].long()] * table[ALL.ids[:, 1].long() + USERS + 1]).sum(1)
    assert_close(gmf(ALL), explicit)
    assert_close(mf(ALL), explicit)
    (ours,) = torch.autograd.grad(gmf(ALL).square().sum(), table)
    (theirs,) = torch.autograd.grad(mf(ALL).square().sum(), mf.embedding.table.weight)
    assert_close(ours, theirs)
    data = leave_one_out()
    big = random(NeuMF(data.fields(), dim=8, hidden=()))
    same = FM(data.fields(), dim=8)
    with torch.no_grad():
        big.h.fill_(1)
        same.embedding.table.weight.copy_(big.gmf.table.weight)
    for a, b in zip(places(big, data).values(), places(same, data).values(), strict=True):
        assert (a[0] == b[0]).float().mean() > 0.999  # rounding may turn a near tie
    with torch.no_grad():
        big.h[0] = -1  # and with another h it is not
    assert (places(big, data)[""][0] != places(same, data)[""][0]).float().mean() > 0.5


def test_any_h_can_be_moved_into_the_vectors_so_gmf_ranks_as_some_dot_product():
    gmf = random(NeuMF(FIELDS, dim=5, hidden=()))
    moved = NeuMF(FIELDS, dim=5, hidden=())
    with torch.no_grad():
        moved.h.fill_(1)
        moved.gmf.table.weight.copy_(gmf.gmf.table.weight)
        moved.gmf.table.weight[: USERS + 1] *= gmf.h
    assert_close(gmf(ALL), moved(ALL))


def test_neumf_is_the_sum_of_its_two_parts_with_embeddings_of_their_own():
    model = random(NeuMF(FIELDS, dim=3, hidden=(8, 4), side=6))
    p, q = model.gmf.table.weight[ALL.ids[:, 0].long()], model.gmf.table.weight[ALL.ids[:, 1].long() + USERS + 1]
    x = torch.cat([model.sides.table.weight[ALL.ids[:, k].long() + k * (USERS + 1)] for k in (0, 1)], 1)
    for layer in (model.mlp[0], model.mlp[2]):
        x = torch.relu(x @ layer.weight.T + layer.bias)
    assert_close(model(ALL), torch.cat([p * q, x], 1) @ model.h)
    assert {id(w) for w in model.gmf.parameters()}.isdisjoint(id(w) for w in model.sides.parameters())
    assert (torch.cat([p * q, x], 1) < 0).any()  # a ReLU after the two are joined would cut the products


def test_the_mlp_without_layers_only_adds_so_everybody_gets_the_same_order():
    model = random(NeuMF(FIELDS, side=6, hidden=(), use_gmf=False))
    z = model(ALL).view(USERS, ITEMS)
    assert len(model.h) == 12 and set(model.parts(ALL)) == {"mlp"}
    assert_close(z - z[:, :1], (z[:1] - z[:1, :1]).expand_as(z))  # user and item effects only
    deep = random(NeuMF(FIELDS, side=6, hidden=(8,), use_gmf=False))(ALL).view(USERS, ITEMS)
    assert (deep.argsort(1) != deep.argsort(1)[:1]).any()


def test_it_reads_a_user_and_an_item_where_wide_deep_reads_all_fields():
    fields = (*FIELDS, Field("hour", "categorical", Vocabulary(list(range(24)))))
    rows = [Rows(torch.tensor([[3, 5, hour]]).int(), torch.zeros(1, 0)) for hour in (1, 20)]
    ncf, wide_deep = random(NeuMF(fields, 4, (8, 4))), random(WideDeep(fields, [("user", "item")], hidden=(8,)))
    assert torch.equal(*map(ncf, rows))
    deep = [wide_deep.parts(r)["deep"] for r in rows]
    assert not torch.allclose(*deep)


def test_pre_training_copies_both_parts_and_halves_h():
    gmf = random(NeuMF(FIELDS, dim=3, hidden=(), output_bias=True), 1)
    mlp = random(NeuMF(FIELDS, hidden=(8, 4), side=6, use_gmf=False, output_bias=True), 2)
    model = NeuMF(FIELDS, dim=3, hidden=(8, 4), side=6, output_bias=True).start_from(gmf, mlp)
    assert_close(model.h, torch.cat([gmf.h, mlp.h]) / 2)
    assert_close(model.bias, (gmf.bias + mlp.bias) / 2)
    assert_close(model(ALL), (gmf(ALL) + mlp(ALL)) / 2)
    other = NeuMF(FIELDS, dim=3, hidden=(8, 4), side=6).start_from(gmf, mlp, alpha=0.25)
    assert_close(other.h, torch.cat([0.25 * gmf.h, 0.75 * mlp.h]))
    with torch.no_grad():
        gmf.h.zero_()  # a copy, not the same tensor
    assert model.h[:3].abs().min() > 0


def test_pre_training_refuses_what_does_not_fit():
    gmf, mlp = NeuMF(FIELDS, dim=3, hidden=()), NeuMF(FIELDS, hidden=(8, 4), side=6, use_gmf=False)
    model = NeuMF(FIELDS, dim=3, hidden=(8, 4), side=6)
    with pytest.raises(ValueError, match="needs both parts"):
        gmf.start_from(gmf, mlp)
    with pytest.raises(ValueError, match="only a GMF part, then one with only a tower"):
        model.start_from(mlp, gmf)
    with pytest.raises(ValueError, match=r"sides.table.weight is .*, expected"):
        model.start_from(gmf, NeuMF(FIELDS, hidden=(8, 4), side=5, use_gmf=False))


def test_neumf_wants_a_categorical_user_and_item():
    with pytest.raises(ValueError, match="unknown field 'who'"):
        NeuMF(FIELDS, user="who")
    with pytest.raises(ValueError, match="field 'item' must be categorical, it is numeric"):
        NeuMF((FIELDS[0], Field("item", "numeric")))


# --- the benchmark


def quick(name, seed=0):
    """A finished run that took no time."""
    value = (len(name) * 7 + seed) % 10 / 10
    return Result("movielens-100k", "leave-one-out", name, seed, {}, {"ndcg@10": value}, {"hr@10": value}).to_dict()


def finish(record, job):
    bench.note(record, job, quick(job[0], job[2]), "1 2 3")


def test_every_model_gets_six_settings_and_the_same_factors():
    assert all(len(bench.space(name)) == 6 for name in bench.MODELS)
    sizes = {name: bench.build(name) for name in bench.MODELS}
    assert sizes["mf"].config["dim"] == sizes["gmf"].config["dim"] == bench.FACTORS
    for depth in range(5):
        config = sizes[f"mlp_{depth}"].config
        assert len(config["hidden"]) == depth and config["side"] == 2 * bench.FACTORS and not config["use_gmf"]
        assert depth == 0 or config["hidden"][-1] == bench.FACTORS
    assert sizes["neumf"].config == sizes[bench.PRETRAINED].config and sizes["neumf"].config["hidden"] == [64, 32, 16]
    assert not bench.build("mf", h_is_one=True).h.requires_grad


def test_work_that_is_done_is_not_done_again():
    record = {"about": {}, "tuning": {}, "runs": [], "ranks": {}}
    done, first = [], bench.possible(record)
    assert ("popularity", {}, 0, True) in first and not any(job[0] == bench.PRETRAINED for job in first)
    while jobs := bench.possible(record):
        finish(record, jobs[-1])  # an interrupt may come after any of them
        done.append(json.dumps(jobs[-1]))
    assert len(done) == len(set(done)) == 1 + 9 * (6 + 5) + 3 * len(bench.VARIANTS)
    assert [r["model"] for r in record["runs"][:3]] == ["popularity", "mf", "mf"]
    assert set(record["ranks"]) == {"popularity", *bench.MODELS}


def test_seeds_follow_the_best_setting_by_validation():
    record = {"about": {}, "tuning": {}, "runs": [], "ranks": {}}
    for place, setting in enumerate(bench.space("mf")):
        assert bench.best(record, "mf") is None
        result = quick("mf") | {"validation": {"ndcg@10": [3, 1, 7, 2, 0, 5][place] / 10}}
        bench.note(record, ("mf", setting, bench.TUNING_SEED, False), result, "")
    assert bench.best(record, "mf") == bench.space("mf")[2]
    assert all(job[1] == bench.space("mf")[2] for job in bench.possible(record) if job[0] == "mf" and job[3])


def test_an_interrupted_benchmark_goes_on(monkeypatch):
    """Runs take no time and are made in this process; the third is cut off."""
    here(monkeypatch, lambda job, parts: (quick(job[0], job[2]), "0"))
    record, saved = {"about": {}, "tuning": {}, "runs": [], "ranks": {}}, []

    def save():
        saved.append(json.dumps(record))
        if len(saved) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(record, save, 1)
    again = json.loads(saved[-1])
    bench.run(again, lambda: None, 1)
    whole = {"about": {}, "tuning": {}, "runs": [], "ranks": {}}
    bench.run(whole, lambda: None, 1)
    assert again == whole and not bench.possible(again)


@pytest.fixture(scope="module")
def stored():
    return read_json(RESULTS / "ncf.json")


def test_the_stored_results_are_complete_and_of_this_data(stored):
    assert not bench.possible(stored)
    assert stored["about"]["data_sha256"] == leave_one_out().about["data_sha256"]
    assert stored["about"]["negatives_sha256"] == leave_one_out().about["negatives_sha256"]
    for name in bench.MODELS:
        assert [t["setting"] for t in stored["tuning"][name]] == bench.space(name)
        runs = [r for r in stored["runs"] if r["model"] == name]
        assert [r["seed"] for r in runs] == list(bench.SEEDS)
        for r in runs:
            assert bench.best(stored, name).items() <= r["settings"].items()


def test_stored_places_give_the_stored_hit_rates(stored):
    for r in stored["runs"]:
        if r["model"] in bench.MODELS:
            above = [int(x) for x in stored["ranks"][r["model"]][str(r["seed"])].split()]
            assert len(above) == 943
            assert sum(a < 10 for a in above) / 943 == pytest.approx(r["test"]["hr@10"], abs=1.1e-3)  # one near tie


def test_the_stored_popularity_is_what_counting_gives(stored):
    data = leave_one_out()
    above, _ = places(Popularity(data), data)[""]
    assert stored["ranks"]["popularity"]["0"] == " ".join(map(str, above.tolist()))
    assert score_all(Popularity(data), data, torch.tensor([0])).shape == (1, 1682)
