"""DeepCTR-Torch beside ours. Its linear part is left out where ours has none; numbers do not enter its FM."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

sys.modules.setdefault("requests", ModuleType("requests"))  # its import would look online for a newer version

from deepctr_torch.inputs import DenseFeat, SparseFeat  # noqa: E402
from deepctr_torch.layers import core, interaction  # noqa: E402
from deepctr_torch.models import DCN, WDL, AutoInt, DCNMix, DeepFM  # noqa: E402

from recsys_lite.fields import Rows  # noqa: E402

from .cases import BY_FIELD, DIM, HIDDEN, MIXED, PLAIN, SIZES, WIDTH  # noqa: E402
from .entry import Entry, Value, answer  # noqa: E402
from .experts import one_row, start  # noqa: E402
from .links import (  # noqa: E402
    CROSS,
    FAN,
    FAN_FORMULA,
    GATES,
    GATES_FORMULA,
    NO_CROSSES,
    NO_CROSSES_FORMULA,
    SQUEEZED,
    dense,
    mixture,
    stacked,
    tables,
)  # fmt: skip
from .measure import Case, Link, Peer  # noqa: E402

LAYERS, MODELS = "deepctr_torch/layers/interaction.py", "deepctr_torch/models/{}.py"


def columns(fields: Any, sizes: Any = None) -> list[Any]:
    """Their features for our fields, with embeddings of one size or of sizes by field."""
    return [
        DenseFeat(f.name, 1) if f.kind == "numeric"
        else SparseFeat(f.name, f.size, embedding_dim=(sizes or {}).get(f.name, DIM))
        for f in fields
    ]  # fmt: skip


def call(model: nn.Module, rows: Rows) -> Tensor:
    """Their models read one matrix of ids and numbers."""
    return model(torch.cat([rows.ids.to(rows.numeric.dtype), rows.numeric], 1)).squeeze(1)


def built(kind: Any, linear: bool, fields: Any = PLAIN, sizes: Any = None, **options: Any) -> Any:
    """A model that gives logits: ``regression`` leaves its sigmoid out."""
    made = kind(columns(PLAIN) if linear else [], columns(fields, sizes), task="regression", **options)
    return made.double()


def cross(parameterization: str) -> Any:
    def build(case: Case) -> Peer:
        theirs = interaction.CrossNet(WIDTH, 3, parameterization).double()
        last = (lambda p: p.squeeze(-1)) if parameterization == "vector" else (lambda p: p)
        return Peer(theirs, [
            Link("weight", theirs.kernels, theirs=last), Link("bias", theirs.bias, theirs=lambda p: p.squeeze(-1)),
        ])  # fmt: skip

    return build


def mix(layers: int) -> Any:
    def build(case: Case) -> Peer:
        theirs = interaction.CrossNetMix(WIDTH, 2, 3, layers).double()
        return Peer(theirs, mixture("", theirs.U_list, theirs.V_list, theirs.C_list, theirs.gating, theirs.bias))

    return build


def attention(case: Case) -> Peer:
    theirs = interaction.InteractingLayer(DIM, 2).double()
    names = {"query": "W_Query", "key": "W_key", "value": "W_Value", "residual": "W_Res"}
    return Peer(theirs, [Link(f"{a}.weight", getattr(theirs, b), theirs=lambda p: p.T) for a, b in names.items()])


def mlp(case: Case) -> Peer:
    theirs = nn.Sequential(core.DNN(WIDTH, HIDDEN), nn.Linear(HIDDEN[-1], 1)).double()
    return Peer(theirs, dense("", [*theirs[0].linears, theirs[1]]))


def linear(model: Any) -> list[Link]:
    parts = model.linear_model.embedding_dict
    return [*tables("weights.table.weight", [parts[n].weight for n in SIZES]), Link("bias", model.out.bias, _one)]


def _one(p: Tensor) -> Tensor:
    return p.view(1)


def vectors(model: Any, name: str = "embedding.table.weight") -> list[Link]:
    return tables(name, [model.embedding_dict[n].weight for n in SIZES])


def sums(deep: bool, fm: bool) -> Any:
    """Logistic regression, FM, DeepFM: their DeepFM with parts switched off."""

    def build(case: Case) -> Peer:
        theirs = built(DeepFM, True, use_fm=fm, dnn_hidden_units=HIDDEN if deep else ())
        links = linear(theirs) + (vectors(theirs) if fm or deep else [])
        if deep:
            links += dense("mlp.", [*theirs.dnn.linears, theirs.dnn_linear])
        if not fm and not deep:
            for p in theirs.embedding_dict.parameters():
                p.requires_grad_(False)  # not read
        return Peer(theirs, links, call)

    return build


def network(case: Case) -> Peer:
    theirs = built(WDL, False, dnn_hidden_units=HIDDEN)
    links = vectors(theirs) + dense("mlp.", [*theirs.dnn.linears, theirs.dnn_linear])
    return Peer(theirs, [*links, Link("bias", theirs.out.bias, _one)], call)


def wide(case: Case) -> Peer:
    theirs = built(WDL, True, dnn_hidden_units=HIDDEN)
    links = linear(theirs) + vectors(theirs) + dense("mlp.", [*theirs.dnn.linears, theirs.dnn_linear])
    held = {"mlp.4.bias": 0.0} | ({"crosses.weight": CROSS} if case.module.crosses.crosses else {})
    return Peer(theirs, links, call, our_held=held)


def crossed(kind: Any, fields: Any, layers: int, **options: Any) -> Any:
    def build(case: Case) -> Peer:
        theirs = built(kind, False, fields, cross_num=layers, dnn_hidden_units=HIDDEN, **options)
        net = theirs.crossnet
        if kind is DCNMix:
            links = mixture("cross.", net.U_list, net.V_list, net.C_list, net.gating, net.bias)
        else:
            last = (lambda p: p.squeeze(-1)) if net.parameterization == "vector" else (lambda p: p)
            links = [Link("cross.weight", net.kernels, theirs=last),
                     Link("cross.bias", net.bias, theirs=lambda p: p.squeeze(-1))]  # fmt: skip
        if "sizes" in options:  # ours has a table for each size
            for k, (name, _) in enumerate(sorted(options["sizes"].items(), key=lambda item: item[1])):
                links.append(Link(f"input.embedding.tables.{k}.table.weight", theirs.embedding_dict[name].weight))
        else:
            links += vectors(theirs, "input.embedding.table.weight")
        links += dense("mlp.", theirs.dnn.linears)
        return Peer(theirs, links + stacked(theirs.dnn_linear, theirs.out.bias), call)

    return build


def autoint(hidden: Any) -> Any:
    def build(case: Case) -> Peer:
        theirs, size = built(AutoInt, False, att_layer_num=2, dnn_hidden_units=hidden), len(PLAIN) * DIM
        names = {"query": "W_Query", "key": "W_key", "value": "W_Value", "residual": "W_Res"}
        links = vectors(theirs) + [
            Link(f"layers.{k}.{a}.weight", getattr(layer, b), theirs=lambda p: p.T)
            for k, layer in enumerate(theirs.int_layers) for a, b in names.items()
        ]  # fmt: skip
        links += [Link("combine.weight", theirs.dnn_linear.weight, theirs=lambda p: p[:, :size]),
                  Link("combine.bias", theirs.out.bias)]  # fmt: skip
        if hidden:
            links += dense("mlp.", theirs.dnn.linears)
            links.append(Link(f"mlp.{2 * len(hidden)}.weight", theirs.dnn_linear.weight, theirs=lambda p: p[:, size:]))
        return Peer(theirs, links, call)

    return build


def entries() -> list[Entry | Value]:
    deepfm, layers = MODELS.format("deepfm"), LAYERS
    fm = lambda case: Peer(_squeezed(interaction.FM()), [])  # noqa: E731
    return [
        Entry("CrossNet", "CrossNet(parameterization='vector')", cross("vector"), (layers, "class CrossNet(")),
        Entry("CrossNetV2", "CrossNet(parameterization='matrix')", cross("matrix"), (layers, "class CrossNet(")),
        Entry("CrossNetMix, one layer", "CrossNetMix(layer_num=1)", mix(1), (layers, "class CrossNetMix(")),
        Entry("CrossNetMix", "CrossNetMix", mix(3), (layers, "class CrossNetMix( >> self.gating[expert_id]"), GATES,
              GATES_FORMULA, "CrossNetMix, gates shared"),
        Entry("fm_interaction", "FM", fm, (layers, "class FM(")),
        Entry("InteractingLayer", "InteractingLayer", attention, (layers, "class InteractingLayer(")),
        Entry("MLP", "DNN, and a linear layer", mlp, ("deepctr_torch/layers/core.py", "class DNN(")),
        Entry("LogisticRegression", "DeepFM(use_fm=False, dnn_hidden_units=())", sums(False, False),
              (deepfm, "class DeepFM(")),
        Entry("FM", "DeepFM(dnn_hidden_units=())", sums(False, True), (deepfm, "class DeepFM(")),
        Entry("DeepFM", "DeepFM", sums(True, True), (deepfm, "class DeepFM(")),
        Entry("FieldMLP", "WDL without a linear part", network, (MODELS.format("wdl"), "class WDL(")),
        Entry("WideDeep, no crosses", "WDL", wide, (MODELS.format("wdl"), "class WDL(")),
        Entry("WideDeep", "WDL", wide, (MODELS.format("wdl"), "class WDL( >> logit = self.linear_model(X)"), NO_CROSSES,
              NO_CROSSES_FORMULA, "WideDeep, no crosses"),
        Entry("DCN, with numbers", "DCN(cross_parameterization='vector')", crossed(DCN, MIXED, 3),
              (MODELS.format("dcn"), "class DCN(")),
        Entry("DCNV2, parallel, with numbers", "DCN(cross_parameterization='matrix')",
              crossed(DCN, MIXED, 2, cross_parameterization="matrix"), (MODELS.format("dcn"), "class DCN(")),
        Entry("DCNV2, parallel, sizes by field", "DCN(cross_parameterization='matrix')",
              crossed(DCN, PLAIN, 2, cross_parameterization="matrix", sizes=BY_FIELD),
              (MODELS.format("dcn"), "class DCN(")),
        Entry("DCNV2, experts", "DCNMix", crossed(DCNMix, PLAIN, 2, low_rank=2, num_experts=3),
              (layers, "class CrossNetMix( >> self.gating[expert_id]"), GATES, GATES_FORMULA, "DCNV2, gates shared"),
        Entry("AutoInt", "AutoInt(dnn_hidden_units=())", autoint(()), (MODELS.format("autoint"), "class AutoInt(")),
        Entry("AutoInt+", "AutoInt", autoint(HIDDEN), (MODELS.format("autoint"), "class AutoInt(")),
        Value("CrossNetMix, shape for one row", "layer", "CrossNetMix",
              one_row(lambda: interaction.CrossNetMix(WIDTH, 2, 3, 2)),
              (layers, "class CrossNetMix( >> x_l.squeeze()"), SQUEEZED, r"x_l.\mathrm{squeeze}()"),
        Value("CrossNetMix, sd of U at the start", "layer", "CrossNetMix",
              start(lambda: interaction.CrossNetMix(64, 8, 4, 4), "U_list"),
              (layers, "class CrossNetMix( >> xavier_normal_"), FAN, FAN_FORMULA),
    ]  # fmt: skip


class _squeezed(nn.Module):
    """(B, 1) -> (B,)."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x).squeeze(1)


if __name__ == "__main__":
    answer("deepctr_torch", entries)
