"""Traces of the cross networks: DCN with its vectors, DCN V2 with matrices, low ranks and experts, GDCN with gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from ...fields import Rows, part_name
from ...layers import CrossLayers, CrossNet, CrossNetMix, CrossNetV2, GatedCrossNet, SizedEmbedding
from ...layers.cross import ACTIVATIONS
from ...models import DCN, DCNV2, GDCN, Model
from ...models.cross_model import CrossModel
from .shared import Run, features_step, field_words, fields_step, network_steps, numbered, output_step, record, sum_step
from .steps import Step, largest_of, products_of, short_vector, sigmoid_of, softmax_of, vector, weighted_of
from .towers import numbers_step


@dataclass(frozen=True)
class Places:
    """The N places of x₀ in words: a line for each field, a name for each place."""

    labels: Mapping[str, str]
    blocks: Mapping[str, slice]

    @property
    def names(self) -> list[str]:
        """``user [1]``, ``user [2]`` …, and just the name of a number."""
        sizes = {name: block.stop - block.start for name, block in self.blocks.items()}
        return [f"{f} [{k + 1}]" if n > 1 else f for f, n in sizes.items() for k in range(n)]

    def table(self, values: Tensor) -> pd.DataFrame:
        """N numbers, a line for each field; short lines end in gaps."""
        lines = {f: values[block].tolist() for f, block in self.blocks.items()}
        columns = numbered("number", max(map(len, lines.values())))
        table = pd.DataFrame(float("nan"), index=[self.labels[f] for f in lines], columns=columns)
        for place, line in enumerate(lines.values()):
            table.iloc[place, : len(line)] = line
        return table


@dataclass(frozen=True)
class Added:
    """What one place gets from a cross layer: the factors of the product, and what stands outside of it."""

    formula: str
    steps: list[Step]
    factors: list[float]
    outside: list[float]


#: cross network, number of the layer, x₀ and the layer's input (N,), the place to show, names -> what the layer adds
Layer = Callable[[Any, int, Tensor, Tensor, int, Places], Added]


@torch.no_grad()
def dcn(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    r"""x₀, layers :math:`x_{l+1} = x_0 (x_l^\top w_l) + b_l + x_l`, the network beside them, their sum, the chance."""
    return _trace(cast(DCN, model), rows, words, _one_number, "x")


@torch.no_grad()
def dcn_v2(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    r"""x₀, layers :math:`x_{l+1} = x_0 \odot (W_l x_l + b_l) + x_l`, the network beside or on top, the chance.

    :math:`W_l` is full, of low rank, or a mixture of experts.
    """
    model = cast(DCNV2, model)
    return _trace(model, rows, words, _experts if isinstance(model.cross, CrossNetMix) else _matrix, "x")


@torch.no_grad()
def gdcn(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    r"""c₀, layers :math:`c_{l+1} = c_0 \odot (W_l c_l + b_l) \odot \sigma(G_l c_l) + c_l`, the network, the chance."""
    return _trace(cast(GDCN, model), rows, words, _gated, "c")


def _trace(model: CrossModel, rows: Rows, words: Mapping[str, str], layer: Layer, x: str) -> list[Step]:
    """What the three have in common: all but a layer."""
    run = record(model, rows)
    labels = dict(zip([f.name for f in model.fields], field_words(model.fields, rows, words), strict=True))
    places = Places(labels, model.input.blocks)
    x0 = run.output(model.input)
    states = [s[0] for s in model.cross.states(x0[None])]  # L + 1 of (N,)
    last, depth = rf"{x}_{{{model.cross.depth}}}", range(model.cross.depth)
    deep = r" + w_h^\top h" if model.structure == "parallel" else ""
    whole = r"z = w^\top h + b" if model.structure == "stacked" else rf"z = w^\top {last}{deep} + b"
    return [
        *_input_steps(model, run, rows, words, places, x0, x),
        *(s for k in depth for s in _layer_steps(model.cross, k, x0, states[k], states[k + 1], places, layer)),
        *([] if model.structure == "stacked" else [_cross_part(model, run, last, x, places)]),
        *_deep_steps(model, run, places, last, x),
        sum_step(4, run, whole, {"cross": "cross layers", "deep": "network", "stacked": "network on top"}),
        output_step(5, run),
    ]


# --- the input ------------------------------------------------------------------------------------------------------


def _input_steps(
    model: CrossModel, run: Run, rows: Rows, words: Mapping[str, str], places: Places, x0: Tensor, x: str
) -> list[Step]:  # fmt: skip
    """Categories and numbers, a vector for each field that is no number, all of them side by side."""
    embedding, numbers = model.input.embedding, any(f.kind == "numeric" for f in model.fields)
    tables: list[Any] = []
    if embedding is not None:  # a table for each length of vectors
        tables = list(embedding.tables) if isinstance(embedding, SizedEmbedding) else [embedding]
    count = sum(len(table.fields) for table in tables)
    inside = ["e_1", r"\dots", f"e_{{{count}}}"] if count > 2 else [f"e_{k + 1}" for k in range(count)]
    inside += [r"x_{\text{dense}}"] if numbers else []
    many = len(tables) > 1
    note = "First the vectors, then the numbers as they are. " if tables and numbers else ""
    return [
        *(features_step(0, t, run.input(t), words, "The categories as numbers" if numbers else "") for t in tables),
        *([numbers_step(0, model, rows)] if numbers else []),
        *(
            fields_step(1, t, run.input(t), words, title=f"Fields with a vector of {t.dim}" if many else "")
            for t in tables
        ),
        Step(
            1, "All side by side", rf"{x}_0 = [{', '.join(inside)}] \in \mathbb{{R}}^{{{len(x0)}}}",
            rf"{x}_0 = {short_vector(x0.tolist())}", places.table(x0),
            f"{note}It is one vector; the picture has a line for each field.",
        ),
    ]  # fmt: skip


# --- cross layers ---------------------------------------------------------------------------------------------------


def _layer_steps(
    net: CrossLayers, k: int, x0: Tensor, given: Tensor, made: Tensor, places: Places, layer: Layer
) -> list[Step]:  # fmt: skip
    """A cross layer, with the numbers of the place to which it adds most."""
    at = int((made - given).abs().argmax())
    added = layer(net, k, x0, given, at, places)
    terms = [[x0[at].item(), *added.factors], *([term] for term in added.outside), [given[at].item()]]
    out = Step(
        2, f"Cross layer {k + 1}: what comes out", added.formula, products_of(terms, made[at].item()),
        places.table(made), f"The numbers are those of *{places.names[at]}*, to which this layer adds most.",
    )  # fmt: skip
    return [*added.steps, out]


def _one_number(net: CrossNet, k: int, x0: Tensor, x: Tensor, at: int, places: Places) -> Added:
    """DCN: the input times one number, and a bias outside of the product."""
    scale, w = net.scales(x0[None])[0][0, k].item(), net.weight[k]
    shares = {places.labels[f]: (w * x)[block].sum().item() for f, block in places.blocks.items()}
    step = Step(
        2, f"Cross layer {k + 1}: one number for the row", rf"x_{{{k}}}^\top w_{{{k}}}",
        weighted_of(w.tolist(), x.tolist(), scale, places.names),
        vector(list(shares.values()), "share of the sum", list(shares)),
        "x₀ as a whole is multiplied by this one number; the picture shows what each field adds to it.",
    )  # fmt: skip
    formula = rf"x_{{{k + 1}}} = x_0\, (x_{{{k}}}^\top w_{{{k}}}) + b_{{{k}}} + x_{{{k}}}"
    return Added(formula, [step], [scale], [net.bias[k, at].item()])


def _weights_step(net: CrossNetV2, k: int, x: Tensor, at: int, places: Places, symbol: str = "x") -> tuple[Step, float]:
    """W x + b, and what it is at the place."""
    made = net.product(k, x[None])[0] + net.bias[k]
    now, line = rf"{symbol}_{{{k}}}", net.matrices(k)[0, at]
    step = Step(
        2, f"Cross layer {k + 1}: a matrix, and a bias inside", rf"W_{{{k}}} {now} + b_{{{k}}}",
        weighted_of(line.tolist(), x.tolist(), made[at].item(), places.names, net.bias[k, at].item()),
        places.table(made), f"The numbers are those of *{places.names[at]}*: one line of the matrix, one bias.",
    )  # fmt: skip
    return step, made[at].item()


def _matrix(net: CrossNetV2, k: int, x0: Tensor, x: Tensor, at: int, places: Places) -> Added:
    """DCN V2: the input times a vector, by a full matrix or one of low rank."""
    now = rf"x_{{{k}}}"
    if net.rank:
        small = x @ net.v[k]  # (r,)
        best, u = int(small.abs().argmax()), net.u[k, at]
        made = (net.product(k, x[None])[0] + net.bias[k])[at].item()
        first = Step(
            2, f"Cross layer {k + 1}: {len(x)} numbers to {net.rank}", rf"V_{{{k}}}^\top {now}",
            weighted_of(net.v[k, :, best].tolist(), x.tolist(), small[best].item(), places.names),
            vector(small.tolist(), "Vᵀx", numbered("number", net.rank)),
            f"The numbers are those of number {best + 1}, the largest. All that the layer knows of its input is here.",
        )  # fmt: skip
        second = Step(
            2, f"Cross layer {k + 1}: back to {len(x)}, and a bias inside",
            rf"U_{{{k}}} (V_{{{k}}}^\top {now}) + b_{{{k}}}",
            weighted_of(u.tolist(), small.tolist(), made, numbered("number", net.rank), net.bias[k, at].item()),
            places.table(net.product(k, x[None])[0] + net.bias[k]),
            f"The numbers are those of *{places.names[at]}*.",
        )  # fmt: skip
        formula = rf"x_{{{k + 1}}} = x_0 \odot \big(U_{{{k}}} (V_{{{k}}}^\top {now}) + b_{{{k}}}\big) + {now}"
        return Added(formula, [first, second], [made], [])
    step, made = _weights_step(net, k, x, at, places)
    return Added(rf"x_{{{k + 1}}} = x_0 \odot (W_{{{k}}} {now} + b_{{{k}}}) + {now}", [step], [made], [])


def _experts(net: CrossNetMix, k: int, x0: Tensor, x: Tensor, at: int, places: Places) -> Added:
    """DCN V2 with experts: gates, the expert that weighs most, the mixture and a bias inside."""
    now, g, gates = rf"x_{{{k}}}", ACTIVATIONS[net.activation], net.gates(k, x[None])[0]
    inner = [g(c @ g(v.T @ x)) for v, c in zip(net.v[k], net.c[k], strict=True)]  # K of (r,)
    made = torch.stack([u @ i for u, i in zip(net.u[k], inner, strict=True)])  # (K, N)
    best, names = int(gates.argmax()), numbered("expert", len(gates))
    mixed = gates @ made + net.bias[k]
    chain = rf"U_{{{k},i}}\, g(C_{{{k},i}}\, g(V_{{{k},i}}^\top {now}))"
    formula = rf"x_{{{k + 1}}} = x_0 \odot \big(\sum_i G_{{{k},i}}({now})\, {chain} + b_{{{k}}}\big) + {now}"
    steps = [
        Step(
            2, f"Cross layer {k + 1}: a gate for each expert",
            rf"G_{{{k}}}({now}) = \mathrm{{softmax}}(\Gamma_{{{k}}} {now})",
            softmax_of((net.gate[k] @ x).tolist(), best, gates[best].item()), vector(gates.tolist(), "G", names),
            f"The numbers are those of expert {best + 1}, which weighs most; all experts are computed.",
        ),
        Step(
            2, f"Cross layer {k + 1}: expert {best + 1}", f"i = {best + 1}: \\quad {chain}",
            weighted_of(net.u[k, best, at].tolist(), inner[best].tolist(), made[best, at].item(),
                        numbered("number", len(inner[best]))),
            places.table(made[best]),
            f"The last product, by U, at *{places.names[at]}*. Here g is {net.activation}.",
        ),
        Step(
            2, f"Cross layer {k + 1}: all experts, and a bias inside",
            rf"\sum_i G_{{{k},i}}({now})\, {chain} + b_{{{k}}}",
            weighted_of(gates.tolist(), made[:, at].tolist(), mixed[at].item(), names, net.bias[k, at].item()),
            places.table(mixed), "The gates sum to 1, so the bias counts once.",
        ),
    ]  # fmt: skip
    return Added(formula, steps, [mixed[at].item()], [])


def _gated(net: GatedCrossNet, k: int, x0: Tensor, x: Tensor, at: int, places: Places) -> Added:
    """GDCN: as DCN V2, times a gate for each place."""
    now, gate, line = rf"c_{{{k}}}", net.gate(k, x[None])[0], net.gate_weight[k]
    step, made = _weights_step(net, k, x, at, places, "c")
    before = line[at] @ x
    gates = Step(
        2, f"Cross layer {k + 1}: a gate for each place", rf"\sigma(G_{{{k}}} {now})",
        weighted_of(line[at].tolist(), x.tolist(), before.item(), places.names)
        + rf",\quad {sigmoid_of(before.item(), gate[at].item())}",
        places.table(gate),
        f"From 0, nothing passes, to 1. The numbers are those of *{places.names[at]}*.",
    )  # fmt: skip
    formula = rf"c_{{{k + 1}}} = c_0 \odot (W_{{{k}}} {now} + b_{{{k}}}) \odot \sigma(G_{{{k}}} {now}) + {now}"
    return Added(formula, [step, gates], [made, gate[at].item()], [])


# --- to the logit ---------------------------------------------------------------------------------------------------


def _cross_part(model: CrossModel, run: Run, last: str, x: str, places: Places) -> Step:
    """What the fields and each layer add to the logit."""
    layers = [f"cross layer {k + 1}" for k in range(model.cross.depth)]
    names, labels = [*map(part_name, places.blocks), *layers], [*(places.labels[f] for f in places.blocks), *layers]
    shares = [run.fine[n] for n in names]
    formula = rf"w^\top {last} = w^\top {x}_0 + \sum_l w^\top ({x}_{{l+1}} - {x}_l)"
    return Step(
        2, "What the cross layers add to the logit", formula, largest_of(shares, run.parts["cross"], names),
        vector(shares, "log-odds", labels), "A field's share is that of its places in the input itself.",
    )  # fmt: skip


def _deep_steps(model: CrossModel, run: Run, places: Places, last: str, x: str) -> list[Step]:
    """The network beside the cross layers or on top of them, and what it adds to the logit; or that there is none."""
    if model.mlp is None:
        nothing = pd.DataFrame(index=["h"], dtype=float)
        note = "This model is its cross layers alone; the box stays empty."
        return [Step(3, "There is no network here", rf"z = w^\top {last} + b", r"\text{no network}", nothing, note)]
    stacked = model.structure == "stacked"
    start, w = (last, "w") if stacked else (f"{x}_0", "w_h")
    steps = network_steps(3, model.mlp, run, places.names, start, mark="'")
    if stacked:
        note = f"The network stands on top: it reads what the cross layers make of {x}₀. {steps[0].note}"
        steps[0] = replace(steps[0], note=note)
    h, part = run.output(model.mlp), run.parts["stacked" if stacked else "deep"]
    weights, units = model.combine.weight[0, -len(h) :], numbered("unit", len(h))
    made = Step(
        3, "What the network adds to the logit", rf"{w}^\top h",
        weighted_of(weights.tolist(), h.tolist(), part, units), vector((weights * h).tolist(), "log-odds", units),
    )  # fmt: skip
    return [*steps, made]
