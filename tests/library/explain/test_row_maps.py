"""Every model's own map of one row, each against the model's own formula, and why there is none where there is none."""

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from tiny import filled

from recsys_lite import explain
from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.explain.drawn import drawn
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import (
    DCN,
    DCNV2,
    DHEN,
    DLRM,
    FM,
    GDCN,
    MODELS,
    AutoInt,
    NeuMF,
    SplitNetwork,
    TwoTowers,
    WideDeep,
)

NAMES = [f.name for f in tiny.FIELDS]
SIDES = {"query": ["user", "price"], "candidate": ["item", "genres", "history"]}
ROW = tiny.rows(5)[3]


def model_of(name: str):
    """A small model of each name, all its parameters random."""
    options = {
        "wide_deep": {"crosses": [["user", "item"]], "hidden": (4,)}, "two_towers": SIDES, "split_network": SIDES,
        "dhen": {"modules": ["dot", "attention", "cross", "linear", "convolution"], "dim": 4},
        "autoint": {"dim": 4, "units": 3, "layers": 2},
    }  # fmt: skip
    return filled(MODELS[name](tiny.FIELDS, **options.get(name, {})), std=0.3).eval()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_map_or_says_why_not(name):
    maps, missing = explain.row_maps(model_of(name), ROW)
    assert maps or missing
    assert all(m.endswith(".") for m in missing)
    assert len({m.name for m in maps}) == len(maps)
    for m in maps:
        assert isinstance(m.table, pd.DataFrame) and m.table.notna().any(axis=None) and m.unit and m.reading
        if m.kind in ("size", "ratio"):
            assert m.table.min(axis=None) >= 0
        if m.name != "gates":
            assert list(m.table.index) == list(m.table.columns)


def test_fm_by_hand():
    fields = [Field(name, "categorical", Vocabulary(["x"])) for name in ("user", "item")]
    model = FM(fields, dim=2)
    with torch.no_grad():
        for name, vector in (("user", [1.0, 2.0]), ("item", [0.5, -1.0])):
            model.embedding.table.weight[model.embedding.row(name, 1)] = torch.tensor(vector)
    ((found,), missing) = explain.row_maps(model, Rows(torch.ones(1, 2, dtype=torch.int32), torch.zeros(1, 0)))
    assert found.table.loc["user", "item"] == found.table.loc["item", "user"] == -1.5 and missing == []
    assert found.kind == "signed" and np.isnan(found.table.loc["user", "user"])


@pytest.mark.parametrize("kind", [DCN, DCNV2, GDCN])
def test_cross_maps_are_the_terms_of_the_layer(kind):
    """Summed over the columns, the products and the bias are what the layer adds."""
    model = filled(kind(tiny.FIELDS, dim=3, cross_layers=2), std=0.3).eval()
    maps, _ = explain.row_maps(model, ROW)
    x0 = model.input(ROW)
    states, blocks = model.cross.states(x0), model.input.blocks
    for k in range(2):
        table = maps[k].table
        for a, at_a in blocks.items():
            for b, at_b in blocks.items():
                only_b = torch.zeros_like(states[k])
                only_b[:, at_b] = states[k][:, at_b]
                if kind is DCN:
                    term = x0[:, at_a] * (only_b @ model.cross.weight[k])
                else:
                    term = x0[:, at_a] * (only_b @ model.cross.weight[k].T)[:, at_a]
                if kind is GDCN:
                    term = term * torch.sigmoid(states[k] @ model.cross.gate_weight[k].T)[:, at_a]
                assert table.loc[a, b] == pytest.approx(term.norm().item(), abs=1e-6)
    assert [m.name for m in maps] == ["cross layer 1", "cross layer 2"] + ["gates"] * (kind is GDCN)
    if kind is GDCN:
        gate = model.gates(ROW)[1][0, blocks["user"]].mean().item()
        assert maps[-1].table.loc["layer 2", "user"] == pytest.approx(2 * gate)


def test_low_ranks_are_the_matrix_and_experts_say_why_not():
    low = filled(DCNV2(tiny.FIELDS, dim=3, cross_layers=1, rank=2), std=0.3).eval()
    full = explain.crosses.with_full_matrices(low)
    pd.testing.assert_frame_equal(
        explain.row_maps(low, ROW)[0][0].table, explain.row_maps(full, ROW)[0][0].table, rtol=1e-4
    )
    maps, missing = explain.row_maps(DCNV2(tiny.FIELDS, dim=3, rank=2, experts=2).eval(), ROW)
    assert maps == [] and "Experts" in missing[0]


def test_attention_is_a_ratio_to_uniform():
    model = model_of("autoint")
    maps, _ = explain.row_maps(model, ROW)
    assert [m.name for m in maps] == ["mean of all heads", *(f"layer {k}, head {h}" for k in (1, 2) for h in (1, 2))]
    for m in maps:
        assert np.allclose(m.table.sum(axis=1), len(NAMES))  # a line of shares sums to 1
    weights = explain.attention(model, ROW, layer=1, head=0)
    assert np.allclose(maps[3].table, weights * len(NAMES))
    assert np.allclose(maps[0].table, explain.attention(model, ROW) * len(NAMES))


def test_modules_of_dhen():
    model = model_of("dhen")
    maps, missing = explain.row_maps(model, ROW)
    found = {m.name: m.table for m in maps}
    assert list(found) == ["dot module", "attention module", "cross module"]
    x, layer = model.start(ROW)[0], model.layers[0]
    assert found["dot module"].loc["user", "item"] == pytest.approx((x[1] @ x[2]).item(), abs=1e-6)
    assert np.allclose(found["attention module"], explain.attention(model, ROW) * len(model.vectors))
    only = torch.zeros_like(x)
    only[2] = x[2]
    term = x[1] * (layer.interactions[2].cross.weight @ only.flatten()).view_as(x)[1]
    assert found["cross module"].loc["user", "item"] == pytest.approx(term.norm().item(), abs=1e-6)
    assert len(missing) == 3 and "linear" in missing[0] and "convolution" in missing[1] and "Later" in missing[2]
    many = [Field(f"f{k}", "categorical", Vocabulary(["x"])) for k in range(20)]
    maps, missing = explain.row_maps(
        DHEN(many, layers=1), Rows(torch.ones(1, 20, dtype=torch.int32), torch.zeros(1, 0))
    )
    assert maps == [] and "mixes the fields" in missing[0]


def test_parts_of_the_logit_are_the_models_own():
    wide = model_of("wide_deep")
    (found,), missing = explain.row_maps(wide, ROW)
    assert found.table.loc["user", "item"] == pytest.approx(wide.parts(ROW, fine=True)["user AND item"].item())
    assert found.table.notna().to_numpy().sum() == 2 and missing
    assert explain.row_maps(filled(WideDeep(tiny.FIELDS)), ROW)[0] == []
    towers = model_of("two_towers")
    (found,), _ = explain.row_maps(towers, ROW)
    block = found.table.loc[SIDES["query"], SIDES["candidate"]]
    assert np.allclose(block, towers.parts(ROW)["dot"].item()) and found.table.notna().to_numpy().sum() == 2 * 6
    split = model_of("split_network")
    (found,), _ = explain.row_maps(split, ROW)
    assert found.table.loc["item", "user"] == pytest.approx(split.parts(ROW, fine=True)["query × candidate"].item())
    assert explain.row_maps(filled(SplitNetwork(tiny.FIELDS, product=False, **SIDES)), ROW)[0] == []
    ncf = model_of("ncf")
    (found,), missing = explain.row_maps(ncf, ROW)
    assert found.table.loc["user", "item"] == pytest.approx(ncf.parts(ROW)["gmf"].item()) and missing
    dlrm = model_of("dlrm")
    (found,), _ = explain.row_maps(dlrm, ROW)
    assert found.table.loc["numbers", "item"] == pytest.approx(dlrm.parts(ROW, fine=True)["numbers × item"].item())


def test_a_network_without_a_product_has_no_map():
    maps, missing = explain.row_maps(filled(NeuMF(tiny.FIELDS, use_gmf=False)), ROW)
    assert maps == [] and "no product" in missing[0]


def test_one_row_only():
    with pytest.raises(ValueError, match="one row"):
        explain.row_maps(FM(tiny.FIELDS), tiny.rows(2))


# --- the drawing of a model as it is set up --------------------------------------------------------------------------


def test_a_stacked_network_stands_on_top_and_a_parallel_one_beside():
    boxes, arrows = drawn("dcn_v2", DCNV2(tiny.FIELDS, structure="stacked"))
    assert (2, 3) in arrows and (1, 3) not in arrows and boxes[3].note == "on top, ReLU"
    assert boxes[2].x == boxes[3].x and boxes[2].y < boxes[3].y < boxes[4].y < boxes[5].y
    boxes, arrows = drawn("gdcn", GDCN(tiny.FIELDS))
    assert (1, 3) in arrows and (2, 3) not in arrows and boxes[3].note == "beside, ReLU"
    boxes, arrows = drawn("dcn_v2", DCNV2(tiny.FIELDS, structure="cross"))
    assert boxes[3].label == "no network" and not any(3 in a for a in arrows)


def test_dhen_shows_the_modules_that_it_has():
    boxes, _ = drawn("dhen", DHEN(tiny.FIELDS, modules=["dot", "linear"]))
    assert (boxes[2].label, boxes[3].label, boxes[3].kind) == ("dot", "linear", "mlp")
    boxes, _ = drawn("dhen", DHEN(tiny.FIELDS, modules=["attention"], layers=1))
    assert boxes[2].label == "no module" and boxes[3].kind == "attention" and "one layer" in boxes[4].note


@pytest.mark.parametrize("name", MODELS)
def test_a_drawing_keeps_the_places_of_its_boxes(name):
    boxes, arrows = drawn(name, model_of(name))
    assert len(boxes) == len(ARCHITECTURES[name][0]) and all(a < b for a, b in arrows)
    assert boxes[0].note != "user, item, hour, …"
    assert drawn(name) == (list(ARCHITECTURES[name][0]), list(ARCHITECTURES[name][1]))


def test_a_name_without_a_drawing_is_named():
    with pytest.raises(ValueError, match="perceptron"):
        drawn("perceptron")


def test_dlrm_and_towers_are_drawn_as_in_the_book():
    assert drawn("dlrm", DLRM(tiny.FIELDS))[1] == ARCHITECTURES["dlrm"][1]
    assert drawn("two_towers", TwoTowers(tiny.FIELDS, **SIDES))[1] == ARCHITECTURES["two_towers"][1]
    assert drawn("autoint", AutoInt(tiny.FIELDS))[1] == ARCHITECTURES["autoint"][1]
