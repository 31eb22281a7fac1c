"""Traces of the models in which networks read vectors and their products: DLRM, two towers, the split network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pandas as pd
import torch
from torch import Tensor

from ...fields import Rows
from ...models import DLRM, Model, SplitNetwork, TwoTowers
from ...models.two_towers import Tower
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
)
from .steps import Step, plain, product_of, short_vector, sum_of, vector, weighted_of


@torch.no_grad()
def dlrm(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """Numbers and categories, a bottom network, vectors, the dots of all pairs, a top network, the chance."""
    model, run = cast(DLRM, model), record(model, rows)
    labels = field_words(model.embedding.fields, rows, words)
    z0, dots = (t[0] for t in model.interact(rows))
    vectors = ["z₀", *labels]
    pairs = [(vectors[model.vectors.index(a)], vectors[model.vectors.index(b)]) for a, b in model.pairs()]
    t = torch.cat([z0[None], model.embedding(without_numbers(rows))[0]])  # (1 + C, d)
    read = [*places_in(["z₀"], len(z0)), *(f"{a} × {b}" for a, b in pairs)]
    return [
        numbers_step(0, model, rows),
        features_step(1, model.embedding, without_numbers(rows), words, "The categories as numbers"),
        *_bottom_steps(model, run, z0),
        fields_step(3, model.embedding, without_numbers(rows), words),
        *dots_steps(
            4, t, dots, vectors,
            (r"\langle t_a, t_b \rangle, \quad T = [z_0, e_1, \dots, e_C]", r"P = \mathrm{tril}(T T^\top)"),
            f"Each pair stands once. The top network reads these {len(dots)} numbers and the {len(z0)} of z₀.",
        ),
        *network_steps(
            5, model.top, run, read, r"[z_0, P]", r"z = w^\top h_L + b", made="z", words="Top network, layer"
        ),
        output_step(6, run),
    ]  # fmt: skip


def without_numbers(rows: Rows) -> Rows:
    """The same row for an embedding that has no numeric fields."""
    return Rows(rows.ids, rows.numeric[:, :0], rows.bags)


def numbers_step(box: int, model: Model, rows: Rows) -> Step:
    """The numeric fields, where there are any."""
    fields = [f for f in model.fields if f.kind == "numeric"]
    if not fields:
        nothing = pd.DataFrame(index=["x"], dtype=float)
        note = (
            f"None of the {len(model.fields)} fields of these data is a number, a case that the paper does not "
            "consider. So nothing comes in here, and nothing that follows depends on this box."
        )
        title = "There are no numbers in these data"
        return Step(box, title, r"x \in \mathbb{R}^0", r"\text{no number}", nothing, note)
    x = rows.numeric[0].tolist()
    note = f"{len(fields)} numeric fields" + (f", each as {fields[0].transform}." if fields[0].transform else ".")
    table = vector(x, "x", [f.name for f in fields])
    return Step(box, "The numbers", rf"x \in \mathbb{{R}}^{{{len(x)}}}", f"x = {short_vector(x)}", table, note)


def _bottom_steps(model: DLRM, run: Run, z0: Tensor) -> list[Step]:
    """The layers of the bottom network, whose last vector is z₀; or the learned constant."""
    if model.bottom is None:
        table = vector(z0.tolist(), "z₀", numbered("number", len(z0)))
        text = rf"z_0 = {short_vector(z0.tolist())}"
        note = "It is the same for every row. Its dots with the vectors take the place of linear terms."
        return [
            Step(2, "A learned vector in the place of a bottom network", r"z_0 \in \mathbb{R}^d", text, table, note)
        ]
    names = [f.name for f in model.fields if f.kind == "numeric"]
    return network_steps(2, model.bottom, run, names, "x", symbol="a", words="Bottom network, layer")


def dots_steps(
    box: int, t: Tensor, dots: Tensor, vectors: Sequence[str], formulas: tuple[str, str], note: str, where: str = ""
) -> list[Step]:  # fmt: skip
    """The largest dot product of two vectors with its numbers, and those of all pairs.

    Args:
        t: the vectors, (n, d).
        dots: their products as :func:`recsys_lite.layers.dot_interaction` made them, (n(n-1)/2,).
        vectors: a name for each.
        formulas: of the one and of all.
        note: on all of them.
        where: what the titles begin with.
    """
    rows, columns = torch.tril_indices(len(t), len(t), offset=-1).tolist()
    best = int(dots.abs().argmax())
    a, b = columns[best], rows[best]
    table = pd.DataFrame(float("nan"), index=vectors[1:], columns=vectors[:-1])
    for below, left, dot in zip(rows, columns, dots.tolist(), strict=True):
        table.iloc[below - 1, left] = dot
    return [
        Step(
            box, f"{where}one dot product" if where else "One dot product", formulas[0],
            weighted_of(t[a].tolist(), t[b].tolist(), dots[best].item(), numbered("number", t.shape[1])),
            matrix(t[[a, b]], [vectors[a], vectors[b]]),
            f"The largest of {len(dots)} dots: *{vectors[a]}* and *{vectors[b]}*.",
        ),
        Step(
            box, f"{where}the dots of all pairs" if where else "The dots of all pairs", formulas[1],
            ",\\quad ".join(
                rf"P_{{\text{{{plain(f'{vectors[columns[k]]} × {vectors[rows[k]]}', 40)}}}}} = {dots[k].item():.3f}"
                for k in dots.abs().topk(min(3, len(dots))).indices.tolist()
            ),
            table, note,
        ),
    ]  # fmt: skip


def _tower_steps(
    boxes: tuple[int, int, int], tower: Tower, run: Run, words: Mapping[str, str], who: str, out: str
) -> list[list[Step]]:  # fmt: skip
    """What a tower reads, its vectors, its layers."""
    rows = run.input(tower.embedding)
    names = places_in(field_words(tower.embedding.fields, rows, words), tower.embedding.dim)
    return [
        [features_step(boxes[0], tower.embedding, rows, words, f"The {who} as numbers")],
        [fields_step(boxes[1], tower.embedding, rows, words, title=f"Vectors of the {who}")],
        network_steps(
            boxes[2], tower.mlp, run, names, "[e_1, \\dots, e_F]", rf"{out} = W h + b", made=out,
            words=f"Tower of the {who}, layer",
        ),
    ]  # fmt: skip


def _both_towers(model: TwoTowers, run: Run, words: Mapping[str, str]) -> tuple[list[Step], Tensor, Tensor]:
    """The steps of two towers in the order of the drawing, and u and v."""
    out = ("u", "v") if model.similarity == "dot" else (r"\tilde u", r"\tilde v")
    query = _tower_steps((0, 2, 4), model.query_tower, run, words, "user", out[0])
    candidate = _tower_steps((1, 3, 5), model.candidate_tower, run, words, "film", out[1])
    u = model.query(run.input(model.query_tower))[0]
    v = model.candidate(run.input(model.candidate_tower))[0]
    if model.similarity == "cosine":
        sides = ((query[2], model.query_tower, u, "u", 4), (candidate[2], model.candidate_tower, v, "v", 5))
        for steps, tower, made, name, box in sides:
            raw = run.output(tower)
            size, k = raw.norm().item(), int(made.abs().argmax())
            numbers = product_of([raw[k].item(), 1 / max(size, 1e-12)], made[k].item())
            formula = rf"{name} = \tilde {name} \cdot \frac{{1}}{{\lVert \tilde {name} \rVert}}"
            table = vector(made.tolist(), name, numbered("number", len(made)))
            steps.append(Step(box, "Divided by its length", formula, numbers, table, "Now its length is 1."))
    return [s for pair in zip(query, candidate, strict=True) for side in pair for s in side], u, v


@torch.no_grad()
def two_towers(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The user and the film, each through vectors and a tower of its own, a dot product, the chance."""
    model, run = cast(TwoTowers, model), record(model, rows)
    steps, u, v = _both_towers(model, run, words)
    terms = {name: value for name, value in run.fine.items() if name != "bias"}
    score, tau = run.parts["dot"], model.temperature
    dot = weighted_of(u.tolist(), v.tolist(), score * tau, numbered("number", len(u)))
    scaled = rf"s = \frac{{{score * tau:.3f}}}{{{tau:g}}} = {score:.3f}"
    formula = r"s = \frac{\langle u, v \rangle}{\tau}"
    return [
        *steps,
        Step(
            6, "Where the two meet", formula, rf"\langle u, v \rangle = {dot},\quad {scaled}",
            vector(list(terms.values()), "u ⊙ v / τ", list(terms)),
            "All that the two sides ever learn of each other. v is the same for every user, so it can be kept.",
        ),
        Step(
            6, "With the bias", "z = b + s", "z = " + sum_of([run.parts["bias"], score], run.logit, ["b", "s"]),
            vector([run.parts["bias"], score, run.logit], "log-odds", ["b", "s", "z"]),
            "The order of films needs no b: it is the same for all.",
        ),
        output_step(7, run, "Films are ordered by z and the first k taken; this is the chance of this one."),
    ]  # fmt: skip


@torch.no_grad()
def split_network(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """Two towers, their vectors and the product of these, a head, the chance."""
    model, run = cast(SplitNetwork, model), record(model, rows)
    steps, u, v = _both_towers(model.towers, run, words)
    n, joined = len(u), run.input(model.head)
    lines = {"u": u, "v": v} | ({"u ⊙ v": joined[2 * n :]} if model.product else {})
    read = places_in(list(lines), n)
    if model.product:
        k = int(lines["u ⊙ v"].abs().argmax())
        numbers = rf"u_{{{k + 1}}}\, v_{{{k + 1}}} = " + product_of(
            [u[k].item(), v[k].item()], joined[2 * n + k].item()
        )
        formula, note = r"[\,u,\ v,\ u \odot v\,]", f"The numbers are those of place {k + 1}, the largest product."
    else:
        numbers = rf"u = {short_vector(u.tolist())},\quad v = {short_vector(v.tolist())}"
        formula, note = r"[\,u,\ v\,]", "This head reads no product."
    return [
        *steps,
        Step(6, "What the head reads", formula, numbers, matrix(joined.view(-1, n), list(lines)), note),
        *network_steps(7, model.head, run, read, r"[u, v, u \odot v]" if model.product else "[u, v]",
                       r"z = w^\top h_L + b", made="z", words="Head, layer"),
        output_step(8, run),
    ]  # fmt: skip
