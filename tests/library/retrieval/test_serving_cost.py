"""What serving costs: the formulas by hand, and tables of what was measured."""

import pandas as pd
import pytest

from recsys_lite.retrieval import serving_cost
from recsys_lite.retrieval.quantise import table_bytes
from recsys_lite.retrieval.serving_cost import costs, within
from recsys_lite.store import RESULTS, read_json

UNITS = {"u": 5.0, "c": 4.0, "d": 0.01, "k": 2.0}


def test_the_formulas_by_hand():
    assert costs(1000, **UNITS) == pytest.approx({"every_pair": 9010.0, "user_once": 4015.0, "cached": 17.0})
    assert costs(1000, **UNITS, once=50)["user_once"] == 4060
    assert costs(1000, **UNITS, hit=0.75)["cached"] == 17 + 250 * 4
    with_nothing_cached = costs(1000, **UNITS, hit=0)
    assert with_nothing_cached["cached"] == with_nothing_cached["user_once"] + UNITS["k"]
    assert costs(0, **UNITS) == {"every_pair": 0.0, "user_once": 5.0, "cached": 7.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"u": -1.0}, "u must be a number from 0 on, got -1.0"),
        ({"d": float("nan")}, "d must be a number"),
        ({"once": float("inf")}, "once must be a number"),
        ({"hit": 1.2}, r"hit must lie within \[0, 1\], got 1.2"),
        ({"candidates": -3}, "candidates must be a number from 0 on, got -3"),
    ],
)
def test_impossible_costs_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        costs(**({"candidates": 10, **UNITS} | wrong))


def test_the_table_holds_formulas_and_measurements():
    stored = read_json(RESULTS / "serving.json")
    table = serving_cost.cost_table(2000, **serving_cost.measured_units()).set_index("candidates")
    assert list(table.index) == sorted([2000, *(one["candidates"] for one in stored["cost"])])
    for one in stored["cost"]:
        for way, words in serving_cost.WAYS.items():
            line = table.loc[one["candidates"]]
            assert line[words] == pytest.approx(1e6 * one["predicted"][way], rel=0.005)
            assert line[f"{words}, measured"] == pytest.approx(1e6 * one["measured"][way])
    assert table.loc[2000].filter(like="measured").isna().all()


def test_within_reads_between_the_measured_sizes():
    sizes, times = [100, 1000, 10_000], [2.0, 20.0, 2000.0]
    assert within(2.0, sizes, times) == (100.0, "")
    assert within(6.0, sizes, times)[0] == pytest.approx(300)  # slope 1
    assert within(200.0, sizes, times)[0] == pytest.approx(1000 * 10**0.5)  # slope 2
    assert within(1.9, sizes, times) == (100.0, "fewer")
    assert within(2000.0, sizes, times) == within(9e9, sizes, times) == (10_000.0, "more")
    assert within(3.0, [1, 10, 100], [1.0, 3.0, 2.0]) == (100.0, "more")  # what shakes never falls
    assert within(3.0, [1, 10, 100, 1000], [1.0, 3.0, 2.0, 30.0]) == (100.0, "")


@pytest.mark.parametrize(
    ("sizes", "times"), [([1], [1.0]), ([2, 1], [1.0, 2.0]), ([1, 2], [0.0, 1.0]), ([1, 2], [1.0])]
)
def test_within_refuses_what_is_no_measurement(sizes, times):
    with pytest.raises(ValueError, match="two or more rising sizes with positive times"):
        within(1.0, sizes, times)


def test_both_groups_have_two_towers_for_the_base_as_their_unit():
    times = serving_cost.measured_times()
    for group, system in ((serving_cost.TOWERS, "items cached"), (serving_cost.MODELS, "Two towers, items cached")):
        sizes, taken = times[group, system]
        assert taken[sizes.index(serving_cost.BASE)] == pytest.approx(1)
    one = next(c for c in read_json(RESULTS / "split_network.json")["cost"] if c["candidates"] == serving_cost.BASE)
    sizes, taken = times[serving_cost.MODELS, "DCN V2"]
    assert taken[sizes.index(serving_cost.BASE)] == pytest.approx(one["times"]["dcn_v2"])


def test_a_budget_by_hand(monkeypatch):
    def stored(path):
        if path.name == "serving.json":
            forms = [(100, 10.0, 5.0, 1.0), (1000, 100.0, 50.0, 2.0), (10_000, 1000.0, 500.0, 20.0)]
            lines = [
                {"candidates": n, "measured": dict(zip(serving_cost.WAYS, times, strict=True))} for n, *times in forms
            ]
            return {"units": {"u": 2e-6, "c": 1e-6, "d": 1e-6, "k": 1e-6, "u_alone": 9e-6}, "cost": lines}
        times = dict.fromkeys(serving_cost.SYSTEMS, 1.0) | {"user tower alone": 0.5}
        slower = times | {
            "dhen": 10.0,
            "user tower alone": 0.1,
        }  # the same work is a smaller share: all take 5 times more
        return {"cost": [{"candidates": 1000, "times": times}, {"candidates": 10_000, "times": slower}]}

    monkeypatch.setattr(serving_cost, "read_json", stored)
    table = serving_cost.budget_table(10).set_index(["group", "system"])
    ours = table.loc[serving_cost.TOWERS]
    assert ours["candidates"].tolist() == [200, 400, 10_000] and ours["open"].tolist() == ["", "", "more"]
    # two towers for 1,000: 9 + 1000 + 1 microseconds; ten times that, by the formulas with u + c + d = 4, c + d = 2
    assert ours["formula"].tolist() == [2525, (10_100 - 9) // 2, 10_090]
    models = table.loc[serving_cost.MODELS]
    assert models.loc["DLRM", "open"] == "more" and models["formula"].isna().all()
    assert models.loc["DHEN", "candidates"] == int(1000 * 10 ** (1 / 1.69897))  # from 1 to 50 over a decade
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            serving_cost.budget_table(wrong)


def test_a_larger_budget_never_fits_less():
    tables = [serving_cost.budget_table(b)["candidates"] for b in (1, 2, 5, 10, 50, 1000)]
    assert (pd.concat(tables, axis=1).diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_the_stages_of_the_funnel_are_ratios():
    stages, lines = serving_cost.funnel_stages(), read_json(RESULTS / "funnel.json")["timings"][0]["lines"]
    took = {(one["stage"], one["candidates"]): one["ms"] for one in lines}
    assert stages["retrieval"].iloc[0] == 1
    last = stages.iloc[-1]
    assert last["heavy"] == pytest.approx(took["heavy", int(last["candidates"])] / took["retrieval", 10])
    assert serving_cost.funnel_models() == {"retrieval": "ease", "medium": "split_network", "heavy": "dcn_v2"}


def test_memory_in_every_format():
    table = serving_cost.memory_table(1000, 16, buckets=500).set_index("format")
    assert table.loc["float32"].tolist() == [32_000, 0.5]
    assert table.loc["int8"].tolist() == [10_000, 10_000 / 64_000]
    assert serving_cost.memory_table(1000, 16)["share"].iloc[0] == 1


def test_the_tables_of_the_book_are_those_of_the_models(movielens, criteo):
    table = serving_cost.book_tables()
    wide = table[table["dim"] == 16]
    histories = sum(f.size for f in movielens.fields if f.table != f.name)
    assert sum(f.size for f in movielens.fields) - histories in set(
        wide.loc[wide["dataset"] == "movielens-100k", "values"]
    )
    assert sum(f.size for f in criteo.fields) in set(wide.loc[wide["dataset"] == "criteo-sample", "values"])
    assert table["bytes"].tolist() == [table_bytes(v, d) for v, d in zip(table["values"], table["dim"], strict=True)]


def test_the_measured_rounding_can_be_taken_by_data_set():
    parts = [serving_cost.quantised_runs(name) for name in ("movielens-100k", "criteo-sample")]
    assert len(serving_cost.quantised_runs()) == sum(map(len, parts)) and all(len(p) for p in parts)


def test_searches_are_compared_with_the_exact_one():
    sizes = serving_cost.index_sizes()
    for size in sizes:
        table = serving_cost.index_table(size)
        exact = table[table["index"] == "exact"].iloc[0]
        assert exact["time"] == 1 and exact["recall"] == 1
        for line in table.itertuples():
            others = table[(table["recall"] >= line.recall) & (table["time"] < line.time)]
            assert line.frontier == others.empty
    with pytest.raises(ValueError, match="nothing was measured with 7 vectors; there are"):
        serving_cost.index_table(7)


def test_reached_is_the_fastest_that_is_good_enough():
    table = pd.DataFrame({
        "index": ["IVF", "IVF", "IVF", "HNSW"], "effort": [1, 2, 4, 9], "recall": [0.5, 0.96, 0.97, 0.9],
        "time": [0.1, 0.3, 0.2, 0.1],
    })  # fmt: skip
    found = serving_cost.reached(table, "IVF", 0.95)
    assert found is not None and found["effort"] == 4
    assert serving_cost.reached(table, "HNSW", 0.95) is None
