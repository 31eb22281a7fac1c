"""The page on serving cost, without a browser."""

import pytest
from explorer import checked, hints, on_page, query, run_cells

from app.pages import serving
from app.parts import serving_views
from recsys_lite.retrieval import serving_cost
from recsys_lite.retrieval.quantise import BITS
from recsys_lite.retrieval.serving_cost import costs

UNITS = serving_cost.measured_units()
DEFAULT = {"view": "cost", "n": "1000", "hit": "100"} | {key: str(value) for key, value in UNITS.items()}
MEMORY = {
    "view": "memory", "values": "10000000", "dim": "64", "format": "int8", "hash": "none", "data": "movielens-100k",
}  # fmt: skip
DEFAULTS = {
    "cost": DEFAULT, "memory": MEMORY, "budget": {"view": "budget", "budget": "10"},
    "index": {"view": "index", "vectors": "100000", "recall": "0.95"},
}  # fmt: skip


def said(app):
    return [m.value for m in app.markdown if m.value.startswith("**What you see.**")]


def moved(app, key, value):
    app = checked(app.select_slider(key=f"control.{key}").set_value(value).run())
    assert not app.error and query(app)[key] == str(value)
    return app


def test_the_first_view_compares_the_three_ways():
    app = on_page("serving")
    assert query(app) == DEFAULT and not app.error
    at = costs(1000, **UNITS)
    (text,) = said(app)
    assert f"every pair costs {at['every_pair'] / at['cached']:.3g} times as much as cached items" in text
    found = serving_cost.measured_costs().set_index("candidates").loc[1000]
    assert f"(measured, all items cached: {found['every_pair'] / found['cached']:.3g} and" in text
    assert f"{UNITS['once'] / at['cached']:.0%} of the cost is the user's part" in text
    (formula,) = [h for h in hints(app) if h.startswith("every pair: N·(u + c + d)")]
    assert "book/two_towers" in formula or "/book/two_towers.html" in formula
    assert run_cells(app) == 1


def test_every_control_of_the_costs_moves_them():
    app = moved(on_page("serving"), "n", 1_000_000)
    assert "For 1,000,000 candidates" in said(app)[0] and "is the products" in said(app)[0]
    app = moved(app, "hit", 90)
    assert "is items missing in the cache." in said(app)[0]
    for key, value in {"u": 50.0, "once": 0.5, "c": 2.0, "d": 0.01, "k": 500.0}.items():
        app = moved(app, key, value)
    at = costs(1_000_000, u=50, once=0.5, c=2, d=0.01, k=500, hit=0.9)
    assert f"every pair costs {at['every_pair'] / at['cached']:.3g} times" in said(app)[0]
    assert run_cells(app) == 1
    app = moved(moved(app, "hit", 100), "u", 1000.0)
    assert f"every pair costs {1_000_000 * 1002.01 / 10_500.5:,.0f} times" in said(app)[0]
    for key in ("once", "d", "k"):
        app = moved(app, key, 0.0)
    assert "cached items cost nothing" in said(app)[0]
    for key in ("u", "c"):
        app = moved(app, key, 0.0)
    assert "cached items cost nothing" in said(app)[0]
    assert "measured" not in said(moved(on_page("serving"), "n", 2000))[0]


@pytest.mark.parametrize("view", list(DEFAULTS))
def test_every_view_has_its_address_and_its_cells(view):
    app = on_page("serving", view=view)
    assert query(app) == DEFAULTS[view] and not app.error and said(app)
    assert run_cells(app) == {"cost": 1, "memory": 2, "budget": 2, "index": 1}[view]


ASKED = [
    {"view": "cost", "n": "50000", "hit": "99.9", "u": "0.5", "once": "20.0", "c": "5.0", "d": "0.0", "k": "1.0"},
    {"view": "memory", "values": "5000", "dim": "4", "format": "int4", "hash": "10000", "data": "criteo-sample"},
    {"view": "budget", "budget": "200"},
    {"view": "index", "vectors": "1000000", "recall": "0.99"},
]


@pytest.mark.parametrize("asked", ASKED)
def test_an_address_brings_everything_back(asked):
    assert query(on_page("serving", **asked)) == asked


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"view": "speed", "n": "7", "hit": "101", "u": "x", "once": "-1", "k": "nan"}, DEFAULT),
        ({"view": "memory", "values": "0", "dim": "16.5", "format": "int2", "hash": "1", "data": "planted"}, MEMORY),
        ({"view": "budget", "budget": "-5"}, DEFAULTS["budget"]),
        ({"view": "index", "vectors": "123", "recall": "1"}, DEFAULTS["index"]),
    ],
)
def test_a_strange_address_falls_back(asked, expected):
    app = on_page("serving", **asked)
    assert query(app) == expected and not app.error


def test_a_control_keeps_its_value_while_another_view_is_shown():
    app = moved(on_page("serving"), "n", 20_000)
    app = checked(app.selectbox(key="control.view").set_value("index").run())
    assert query(app) == DEFAULTS["index"]
    app = checked(app.selectbox(key="control.view").set_value("cost").run())
    assert query(app) == DEFAULT | {"n": "20000"}


def test_memory_is_told_with_what_rounding_did():
    app = on_page("serving", view="memory")
    runs = serving_cost.quantised_runs("movielens-100k")
    for kind in BITS:
        app = moved(app, "format", kind)
        (text,) = said(app)
        part = runs[runs["format"] == kind]
        assert "10,000,000 values × 64 numbers take 2.56 GB in float32" in text
        if kind == "float32":
            assert "float32 is what the models of MovieLens were trained in" in text
            continue
        assert f"{kind} moves the AUC of {len(part)} models by {part['difference'].min():+.5f} to" in text
        lower = int((part["high"] < 0).sum())
        assert (f"{lower} worse" in text) == (lower > 0)
    app = moved(app, "hash", 1_000_000)
    assert "Hashed into 1,000,000 rows, in int4, they take 36 MB" in said(app)[0]
    assert "100.0% of the values share their row" in said(app)[0]
    app = moved(app, "values", 500_000)
    assert "Hashed into 1,000,000 rows, in int4, they take" not in said(app)[0]  # no fewer rows than values
    app = checked(app.selectbox(key="control.data").set_value("criteo-sample").run())
    assert "On Criteo, int4 moves" in said(app)[0]
    assert run_cells(app) == 2


def test_a_budget_is_told_in_candidates():
    app = on_page("serving", view="budget")
    for budget in (1, 10, 1000):
        app = moved(app, "budget", budget)
        table = serving_cost.budget_table(budget).set_index(["group", "system"])
        line = table.loc[(serving_cost.MODELS, "DHEN")]
        told = serving_views.about(line["candidates"]) + (f" or {line['open']}" if line["open"] else "")
        assert f"DHEN {told}." in said(app)[0]
    assert "or more" in said(app)[0]
    stages = serving_cost.funnel_stages()
    assert f"DCN V2 takes {stages['heavy'].iloc[-1]:.1f} times as long as EASE" in said(app)[1]


def test_the_budget_chart_shows_where_measurements_end():
    figure = serving_views.budget_chart(serving_cost.budget_table(1))
    marks = {trace.name: trace for trace in figure.data}
    ends = marks["or beyond: measurements end"]
    assert set(ends.marker.symbol) == {"triangle-left-open"} and "DHEN" in ends.y and "items cached" not in ends.y
    assert set(marks["by formula"].y) == set(serving_cost.WAYS.values())


def test_searches_that_are_good_enough_are_told():
    app = on_page("serving", view="index")
    table = serving_cost.index_table(100_000)
    line = serving_cost.reached(table, "IVF", 0.95)
    effort = f"(effort {line['effort']}, recall {line['recall']:.3f})"
    assert f"IVF takes {line['time']:.2g} times as long as the exact search {effort}" in said(app)[0]
    app = moved(moved(app, "vectors", 1_000_000), "recall", 0.98)
    assert "HNSW does not reach it" in said(app)[0]


def test_a_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(serving_cost, "RESULTS", tmp_path)
    app = on_page("serving", view="index")
    assert "serving.json does not exist" in app.error[0].value and query(app) == {"view": "index"}


def test_the_cost_chart_draws_the_marks_under_the_curves():
    figure = serving.cost_chart(1000, UNITS | {"hit": 1.0})
    names = [trace.name for trace in figure.data]
    assert names[:3] == [f"{words}, measured" for words in serving_cost.WAYS.values()]
    assert names[3:7] == [*serving_cost.WAYS.values(), "N = 1,000"]
    curve, chosen = figure.data[3], figure.data[7]
    assert curve.y[0] == pytest.approx(costs(100, **UNITS)["every_pair"])
    assert list(chosen.y) == pytest.approx(list(costs(1000, **UNITS).values()))


def test_bytes_in_words():
    assert [serving_views.size(x) for x in (999, 1000, 999_600, 2.5e12)] == ["999 B", "1 kB", "1 MB", "2.5 TB"]
