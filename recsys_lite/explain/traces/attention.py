"""Traces of the models in which fields look at each other: AutoInt, and DHEN with its modules of several kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pandas as pd
import torch
from torch import Tensor, nn

from ...fields import Rows, part_name
from ...layers import EnsembleLayer, InteractingLayer
from ...models import DHEN, AutoInt, Model
from .modules import MODULES, brief, largest, norm_step
from .shared import (
    Run,
    features_step,
    field_words,
    fields_step,
    matrix,
    network_steps,
    numbered,
    output_step,
    places_in,
    record,
    sum_step,
)
from .steps import Step, product_of, relu_of, softmax_of, sum_of, weighted_of
from .towers import numbers_step, without_numbers


@torch.no_grad()
def autoint(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The row, a vector for each field, layers in which fields look at fields, a part for each field, the chance."""
    model, run = cast(AutoInt, model), record(model, rows)
    labels, names = field_words(model.fields, rows, words), [part_name(f.name) for f in model.fields]
    maps, depth = model.attention(rows), len(model.layers)
    steps = [features_step(0, model.embedding, rows, words), fields_step(1, model.embedding, rows, words)]
    for k, layer in enumerate(model.layers):
        steps += _interacting_steps(k, cast(InteractingLayer, layer), run, maps[k][0], labels, names)
    formula = rf"z = b + \sum_m w_m^\top e^{{({depth})}}_m"
    if model.mlp is not None:  # AutoInt+
        read, last = places_in(names, model.embedding.dim), r"w_h^\top h"
        steps += network_steps(
            4, model.mlp, run, read, "e", last, "network", words="The network beside it, layer", mark="'"
        )
        formula += f" + {last}"
    e = run.output(cast(nn.Module, model.layers[-1]))  # (F, H·d')
    w = model.combine.weight.view_as(e)
    best = max(names, key=lambda name: abs(run.fine[name]))
    f = names.index(best)
    part = Step(
        4, "What one field adds", rf"w_m^\top e^{{({depth})}}_m",
        weighted_of(w[f].tolist(), e[f].tolist(), run.fine[best], numbered("number", e.shape[1])),
        matrix(w * e, labels),
        f"The numbers are those of *{labels[f]}*, which adds most. A line sums to what a field adds.",
    )  # fmt: skip
    said = dict(zip(names, labels, strict=True)) | {"deep": "network"}
    return [*steps, part, sum_step(4, replace(run, parts=run.fine), formula, said), output_step(5, run)]


def _interacting_steps(
    place: int, layer: InteractingLayer, run: Run, alpha: Tensor, labels: Sequence[str], names: Sequence[str]
) -> list[Step]:  # fmt: skip
    """An interacting layer, with the numbers of the field and head that looks the hardest at another field.

    Args:
        place: number of the layer, from 0; the first has a box of its own.
        alpha: its weights, (H, F, F).
    """
    box, code, (H, F, _) = 2 if place == 0 else 3, layer.variant == "code", alpha.shape

    def projected(linear: nn.Linear) -> Tensor:
        return torch.relu(linear(run.input(layer))) if code else linear(run.input(layer))  # (F, H·d')

    q, k, v = (projected(m).view(F, H, -1).transpose(0, 1) for m in (layer.query, layer.key, layer.value))  # (H, F, d')
    far = alpha * (1 - torch.eye(F)) if F > 1 else alpha
    h = int(far.flatten(1).amax(1).argmax())
    m, j = largest(far[h])
    dots = q @ k.transpose(1, 2)  # (H, F, F)
    scores, scale = (dots / layer.units**0.5, layer.units**-0.5) if code else (dots, 1.0)
    heads = alpha @ v  # (H, F, d')
    u = int(heads[h, m].abs().argmax())
    e = "e" if place == 0 else f"e^{{({place})}}"
    who = [rf"W^{{(h)}}_{letter} {e}_m" if letter == "Q" else rf"W^{{(h)}}_{letter} {e}_k" for letter in "QKV"]
    if code:
        who = [rf"\mathrm{{ReLU}}({w} + b_{letter})" for w, letter in zip(who, "QKV", strict=True)]
    score = rf"\langle {who[0]},\, {who[1]} \rangle"
    score = rf"\tfrac{{1}}{{\sqrt{{d'}}}} {score}" if code else score
    title, head = f"Layer {place + 1}: ", f"Head {h + 1} of {H}."
    numbers = weighted_of(q[h, m].tolist(), k[h, j].tolist(), dots[h, m, j].item(), numbered("number", layer.units))
    if code:
        numbers += r",\quad " + product_of([dots[h, m, j].item(), scale], scores[h, m, j].item())
    steps = [
        Step(
            box, f"{title}how well two fields fit", rf"s^{{(h)}}_{{m,k}} = {score}", numbers,
            matrix(scores[h], labels, labels),
            f"{head} The numbers are those of *{labels[m]}* (line) with *{labels[j]}* (column).",
        ),
        Step(
            box, f"{title}who looks at whom",
            r"\alpha^{(h)}_{m,k} = \frac{\exp s^{(h)}_{m,k}}{\sum_j \exp s^{(h)}_{m,j}}",
            softmax_of(scores[h, m].tolist(), j, alpha[h, m, j].item()), matrix(alpha[h], labels, labels),
            f"{head} Each line sums to 1. The numbers are those of *{labels[m]}* looking at *{labels[j]}*. A large "
            "weight does not prove that the logit depends on it.",
        ),
        Step(
            box, f"{title}what a field hears", rf"\tilde e^{{(h)}}_m = \sum_k \alpha^{{(h)}}_{{m,k}}\, {who[2]}",
            weighted_of(alpha[h, m].tolist(), v[h, :, u].tolist(), heads[h, m, u].item(), names),
            matrix(heads[h], labels), f"{head} The numbers are those of *{labels[m]}* at number {u + 1}.",
        ),
    ]  # fmt: skip
    return [*steps, *_residual_steps(place, layer, run, heads.transpose(0, 1).flatten(1), m, labels, e)]


def _residual_steps(
    place: int, layer: InteractingLayer, run: Run, heads: Tensor, m: int, labels: Sequence[str], e: str
) -> list[Step]:  # fmt: skip
    """All heads side by side and the residual, through a ReLU; in the authors' code a norm."""
    given, pre_res, out = run.input(layer)[m], layer.residual(run.input(layer)), run.output(layer)
    code, size = layer.variant == "code", heads.shape[1]
    res = torch.relu(pre_res) if code else pre_res
    made = out if layer.norm is None else torch.relu(heads + res)  # (F, H·d')
    p = int(made[m].argmax())
    bias = layer.residual.bias[p].item() if code else None
    numbers = weighted_of(
        layer.residual.weight[p].tolist(), given.tolist(), pre_res[m, p].item(), numbered("number", len(given)), bias
    )
    if code:
        numbers += r",\quad " + relu_of(pre_res[m, p].item(), res[m, p].item())
    both = (heads + res)[m, p].item()
    numbers += r",\quad " + sum_of([heads[m, p].item(), res[m, p].item()], both, ["heads", "residual"])
    numbers += r",\quad " + relu_of(both, made[m, p].item())
    sides = [rf"\tilde e^{{({k + 1})}}_m" for k in range(layer.heads)]
    sides = sides if len(sides) < 3 else [sides[0], r"\dots", sides[-1]]
    rest = rf"\mathrm{{ReLU}}(W_{{Res}} {e}_m + b_{{Res}})" if code else rf"W_{{Res}} {e}_m"
    now = rf"e^{{({place + 1})}}"
    formula, title = rf"{now}_m = \mathrm{{ReLU}}\big([{', '.join(sides)}] + {rest}\big)", f"Layer {place + 1}: "
    step = Step(
        3, f"{title}heads and residual", formula, numbers, matrix(made, labels),
        f"The numbers are those of *{labels[m]}* at number {p + 1}. Above 0: {int((made > 0).sum())} of "
        f"{made.numel()} numbers, {size} a field.",
    )  # fmt: skip
    if layer.norm is None:
        return [step]
    step = replace(step, formula=formula.replace(f"{now}_m =", r"\hat e_m ="))
    normed = rf"{now}_m = \mathrm{{Norm}}(\hat e_m)"
    return [step, norm_step(3, f"{title}norm", normed, layer.norm, made, out, labels)]


@torch.no_grad()
def dhen(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The row, X₀, a layer with its modules, join, shortcut and norm, the other layers, the chance."""
    model, run = cast(DHEN, model), record(model, rows)
    numbers, embedding = [f.name for f in model.fields if f.kind == "numeric"], model.embedding
    labels = field_words(embedding.fields, rows, words)
    own = without_numbers(rows)
    steps = [features_step(0, embedding, own, words, "The categories as numbers" if numbers else "")]
    steps += [numbers_step(0, model, rows)] if numbers else []
    steps.append(fields_step(1, embedding, own, words))
    if model.bottom is not None:
        steps += network_steps(1, model.bottom, run, numbers, "x", symbol="a", words="Network of the numbers, layer")
        steps[-1] = replace(steps[-1], note=f"This is z₀, the first vector of X₀. {steps[-1].note}")
        labels = ["z₀", *labels]
    for place, layer in enumerate(model.layers):
        layer = cast(EnsembleLayer, layer)
        steps += _module_steps(place, layer, run, labels)
        steps += _joining_steps(place, layer, run, labels, _made(layer))
        labels = _made(layer)
    x = run.output(layer)  # (m, d)
    w = model.combine.weight.view_as(x)
    i = int((w * x).sum(1).abs().argmax())
    last = rf"X_{{{len(model.layers)}}}"
    part = Step(
        5, "What one vector adds", r"\langle w_i, x_i \rangle",
        weighted_of(w[i].tolist(), x[i].tolist(), (w * x).sum(1)[i].item(), numbered("number", x.shape[1])),
        matrix(w * x, labels),
        f"The numbers are those of *{labels[i]}* of the last layer, which adds most. A line sums to what its vector "
        "adds.",
    )  # fmt: skip
    whole = sum_step(5, replace(run, parts=run.fine), rf"z = w^\top \mathrm{{vec}}({last}) + b", {})
    return [*steps, part, whole, output_step(5, run)]


def _made(layer: EnsembleLayer) -> list[str]:
    """Names of the vectors that a layer makes."""
    if layer.weights is not None:
        return numbered("vector", layer.outputs)
    out = layer.outputs // len(layer.names)
    return [f"{k + 1} {name}, vector {j + 1}" for k, name in enumerate(layer.names) for j in range(out)]


def _module_steps(
    place: int, layer: EnsembleLayer, run: Run, labels: Sequence[str]
) -> list[Step]:  # fmt: skip
    """The modules of a layer; those of the first have two boxes, which stay empty where a model has none of a kind."""
    x, steps = run.input(layer), []  # (m, d)
    for k, (name, module) in enumerate(zip(layer.names, layer.interactions, strict=True)):
        box = 4 if place else 2 if name in ("dot", "cross") else 3
        steps += MODULES[name](box, f"Layer {place + 1}, module {k + 1} ({name}): ", module, run, x, labels)
    for box, kinds in ((2, "dot or cross"), (3, "attention, linear or convolution")):
        if not place and not any(s.box == box for s in steps):
            note = f"The modules of this model are {' and '.join(dict.fromkeys(layer.names))}; the box stays empty."
            nothing = pd.DataFrame(index=["u"], dtype=float)
            steps.append(Step(box, f"No {kinds} module here", "u_i(X_0)", r"\text{no module}", nothing, note))
    return sorted(steps, key=lambda s: s.box)


def _joining_steps(
    place: int, layer: EnsembleLayer, run: Run, given: Sequence[str], names: Sequence[str]
) -> list[Step]:  # fmt: skip
    """What the modules made, joined; the shortcut; the norm of their sum. The names are of what comes in and out."""
    x, y, out = run.input(layer), run.input(layer.norm), run.output(layer)  # (m, d), (out, d), (out, d)
    made = [run.output(module) for module in layer.interactions]  # k of (l, d)
    i, j = largest(out)
    title, now, steps = f"Layer {place + 1}: ", f"X_{{{place}}}", []
    if layer.weights is None:
        joined, ensemble = torch.cat(made), r"[u_1; \dots; u_k]" if len(made) > 1 else "u_1"
    else:
        joined, ensemble = torch.einsum("k,kld->ld", layer.weights, torch.stack(made)), r"\sum_i \omega_i u_i"
        several = [f"{k + 1} {name}" for k, name in enumerate(layer.names)]
        numbers = weighted_of(layer.weights.tolist(), [u[i, j].item() for u in made], joined[i, j].item(), several)
        note = f"A learned weight for each module. The numbers are those of {names[i]} at number {j + 1}."
        steps.append(Step(4, f"{title}sum of the modules", ensemble, numbers, matrix(joined, names), note))
    short, shortcut = x, now
    if layer.shortcut is not None:
        short, shortcut = run.output(layer.shortcut).T, f"W_s {now}"  # (out, d)
        numbers = weighted_of(layer.shortcut.weight[i].tolist(), x[:, j].tolist(), short[i, j].item(), brief(given))
        note = (
            f"{len(x)} vectors came in and {len(y)} go out. The numbers are those of vector {i + 1} at number {j + 1}."
        )
        steps.append(Step(4, f"{title}the shortcut, projected", shortcut, numbers, matrix(short, names), note))
    added = Step(
        4, f"{title}modules and shortcut", rf"Y = {ensemble} + {shortcut}",
        sum_of([joined[i, j].item(), short[i, j].item()], y[i, j].item(), ["modules", "shortcut"]), matrix(y, names),
        f"The numbers are those of *{names[i]}* at number {j + 1}.",
    )  # fmt: skip
    formula = rf"X_{{{place + 1}}} = \mathrm{{Norm}}(Y)"
    return [*steps, added, norm_step(4, f"{title}norm", formula, layer.norm, y, out, names)]
