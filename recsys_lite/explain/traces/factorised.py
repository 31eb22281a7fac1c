"""Traces of the models whose logit is a sum of named parts: logistic regression, FM, Wide & Deep, DeepFM, NeuMF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pandas as pd
import torch

from ...fields import Rows, part_name
from ...layers import FieldEmbedding, HashedCrosses
from ...models import FM, DeepFM, LogisticRegression, Model, NeuMF, WideDeep
from .shared import (
    Run,
    features_step,
    field_words,
    fields_step,
    matrix,
    network_steps,
    numbered,
    once,
    output_step,
    places_in,
    record,
    sum_step,
    vectors_step,
    weights_step,
)
from .steps import Step, largest_of, product_of, short_vector, vector, weighted_of

LINEAR, PAIRS, DEEP, CROSSES = "weights", "pairs", "network", "crosses"


@torch.no_grad()
def logistic_regression(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    r"""The row, a weight for each feature, their sum :math:`z = w_0 + \sum_i w_i x_i`, the chance."""
    model, run = cast(LogisticRegression, model), record(model, rows)
    return [
        features_step(0, model.weights, rows, words),
        weights_step(1, model.weights, run, words, rows),
        sum_step(2, run, r"z = w_0 + \sum_i w_i x_i", {"linear": LINEAR}),
        output_step(3, run),
    ]


@torch.no_grad()
def fm(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The row, weights, vectors, all pairs, their sum, the chance."""
    model, run = cast(FM, model), record(model, rows)
    formula = r"z = w_0 + \sum_i w_i x_i + \sum_{i<j} \langle v_i, v_j \rangle\, x_i x_j"
    return [
        features_step(0, model.embedding, rows, words),
        weights_step(1, model.weights, run, words, rows),
        vectors_step(2, model.embedding, rows, words),
        *pairs_steps(3, model, run, rows, words),
        sum_step(4, run, formula, {"linear": LINEAR, "pairs": PAIRS}),
        output_step(5, run),
    ]


def pairs_steps(box: int, model: FM, run: Run, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The strongest pair of two fields as a dot product, and the sum of all pairs."""
    labels, names = field_words(model.fields, rows, words), [part_name(f.name) for f in model.fields]
    pairs = {name: value for name, value in run.fine.items() if " × " in name}
    between = {name: value for name, value in pairs.items() if len(set(name.split(" × "))) == 2}
    table = pd.DataFrame(0.0, index=labels, columns=labels)
    for name, value in pairs.items():
        a, b = (names.index(n) for n in name.split(" × "))
        table.iloc[a, b] = table.iloc[b, a] = value
    e = model.embedding(rows)[0]  # (F, d)
    steps = []
    if between:
        best = max(between, key=lambda k: abs(between[k]))
        a, b = (names.index(n) for n in best.split(" × "))
        steps.append(
            Step(
                box, "One pair: the dot product of two vectors",
                r"\langle e_f, e_g \rangle = \sum_{k=1}^{d} e_{fk}\, e_{gk}, \quad e_f = \sum_{i \in f} x_i v_i",
                weighted_of(e[a].tolist(), e[b].tolist(), between[best], numbered("number", e.shape[1])),
                matrix(e[[a, b]], [labels[a], labels[b]]),
                f"The strongest pair of two fields here: *{labels[a]}* and *{labels[b]}*.",
            )
        )  # fmt: skip
    steps.append(
        Step(
            box, "All pairs", r"\sum_{i<j} \langle v_i, v_j \rangle\, x_i x_j",
            largest_of(list(pairs.values()), run.parts["pairs"], list(pairs)), table,
            "Blue pairs raise the logit, orange ones lower it. The diagonal holds pairs of values of one field. Each "
            "pair stands twice in the table and counts once.",
        )
    )  # fmt: skip
    return steps


@torch.no_grad()
def deepfm(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """As :func:`fm`, with a network that reads the same vectors."""
    model, run = cast(DeepFM, model), record(model, rows)
    names = places_in(field_words(model.fields, rows, words), model.embedding.dim)
    formula = r"z = w_0 + \sum_i w_i x_i + \sum_{i<j} \langle v_i, v_j \rangle\, x_i x_j + w_h^\top h_L"
    return [
        features_step(0, model.embedding, rows, words),
        vectors_step(1, model.embedding, rows, words),
        fields_step(1, model.embedding, rows, words),
        weights_step(2, model.weights, run, words, rows),
        *pairs_steps(2, model, run, rows, words),
        *network_steps(3, model.mlp, run, names, last=r"w_h^\top h_L", made=DEEP),
        sum_step(4, run, formula, {"linear": LINEAR, "pairs": PAIRS, "deep": DEEP}),
        output_step(5, run),
    ]


@torch.no_grad()
def wide_deep(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """The row, its crosses, vectors, the weights of both, the network, their sum, the chance."""
    model, run = cast(WideDeep, model), record(model, rows)
    if model.weights is None or model.crosses is None or model.embedding is None or model.mlp is None:
        raise ValueError("trace: this Wide & Deep has one part only; the drawing has both")
    names = places_in(field_words(model.fields, rows, words), model.embedding.dim)
    formula = r"z = b + w^\top [x, \phi(x)] + w_h^\top h_L"
    cross, weights = crosses_steps(1, 3, model, model.crosses, run, rows, words)
    return [
        features_step(0, model.weights, rows, words),
        cross,
        fields_step(2, model.embedding, rows, words),
        weights_step(3, model.weights, run, words, rows),
        weights,
        *network_steps(4, model.mlp, run, names, last=r"w_h^\top h_L + b_h", made=DEEP),
        sum_step(5, run, formula, {"linear": LINEAR, "crosses": CROSSES, "deep": DEEP}),
        output_step(6, run),
    ]


def crosses_steps(
    first: int, second: int, model: WideDeep, crosses: HashedCrosses, run: Run, rows: Rows, words: Mapping[str, str]
) -> tuple[Step, Step]:  # fmt: skip
    """The conditions that hold in the row, and their weights."""
    own = {f.name: f.vocabulary for f in model.fields}
    names, conditions, weights = [], [], []
    for k, cross in enumerate(crosses.crosses):
        values, counts = crosses.combinations(rows, k)  # (1, M, fields of the cross)
        for held in values[0][counts[0]]:
            said = [
                words.get(n, own[n].label(int(i))) if n not in rows.bags else own[n].label(int(i))  # type: ignore[union-attr]
                for n, i in zip(cross, held, strict=True)
            ]
            names.append(" AND ".join(said))
            conditions.append(len(cross))
            weights.append(crosses.weight[crosses.bucket(k, held)].item())
    names, total = once(names), run.parts["crosses"]
    ones = torch.ones(len(names), 1)
    phi = r"\phi_k(x) = \prod_i x_i^{c_{ki}}, \quad c_{ki} \in \{0, 1\}"
    if not names:
        nothing, none = (
            "Every cross of this row holds a value that training never showed.",
            r"\text{no condition holds}",
        )
        empty = matrix(ones, [], ["φₖ(x)"])
        return Step(first, "Crosses", phi, none, empty, nothing), Step(
            second, "A weight for each cross", r"w^\top \phi(x)", none, vector([total], CROSSES, ["sum"]), nothing
        )
    one = [1.0] * conditions[0]
    return (
        Step(
            first, "The crosses that hold", phi, product_of(one, 1.0), matrix(ones, names, ["φₖ(x)"]),
            f"{len(names)} conditions hold in this row, the first is *{names[0]}*; the product is 1 only if all its "
            "factors are. A value of a list counts as there or not, whatever the length of the list.",
        ),
        Step(
            second, "A weight for each cross", r"w^\top \phi(x)",
            largest_of(weights, total, names),
            matrix(torch.tensor(weights)[:, None], names, ["wₖ"]),
            f"{sum(w == 0 for w in weights)} of {len(weights)} weights are exactly 0: training saw too little of them.",
        ),
    )  # fmt: skip


@torch.no_grad()
def ncf(model: Model, rows: Rows, words: Mapping[str, str]) -> list[Step]:
    """User and item, two pairs of vectors, a product with weights, a network, their sum, the chance."""
    model, run = cast(NeuMF, model), record(model, rows)
    if model.gmf is None or model.sides is None or model.mlp is None:
        raise ValueError("trace: this NeuMF has one part only; the drawing has both")
    gmf, sides = cast(FieldEmbedding, model.gmf), cast(FieldEmbedding, model.sides)
    pair = run.input(gmf)  # rows of user and item alone
    labels = field_words(gmf.fields, pair, words)
    (p, q), h = run.output(gmf), model.h[: gmf.dim]  # (d,) each
    factors = {k: v for k, v in run.fine.items() if k.startswith("factor ")}
    best = max(factors, key=lambda k: abs(factors[k]))
    k = list(factors).index(best)
    reads = places_in(labels, sides.dim)
    tower = network_steps(4, model.mlp, run, reads, "[p', q']", words="Tower layer", first=1)
    out = run.output(model.mlp)
    weights = model.h[-len(out) :]
    names = numbered("unit", len(out)) if tower else reads
    terms = list(factors.values())
    return [
        features_step(0, gmf, pair, words, "User and item"),
        _two_vectors(1, "p", "q", "d", run.output(gmf), labels, "product"),
        _two_vectors(2, "p'", "q'", "2d", run.output(sides), labels, "network"),
        Step(
            3, "One factor", r"h_k\, p_k\, q_k", product_of([h[k].item(), p[k].item(), q[k].item()], factors[best]),
            vector(terms, "h ⊙ p ⊙ q", list(factors)), f"The numbers are those of {best}, the largest.",
        ),
        Step(
            3, "GMF: all factors", r"h^\top (p \odot q)", largest_of(terms, run.parts["gmf"], list(factors)),
            vector([run.parts["gmf"]], "GMF", ["sum"]), "With all h at 1 this is matrix factorisation.",
        ),
        *tower,
        Step(
            4, "The network's part", r"h'^\top \phi([p', q'])",
            weighted_of(weights.tolist(), out.tolist(), run.parts["mlp"], names),
            vector([run.parts["mlp"]], "MLP", ["sum"]),
        ),
        sum_step(5, run, r"z = h^\top (p \odot q) + h'^\top \phi([p', q'])", {"gmf": "GMF", "mlp": "MLP"}),
        output_step(6, run),
    ]  # fmt: skip


def _two_vectors(box: int, a: str, b: str, size: str, vectors: torch.Tensor, labels: Sequence[str], of: str) -> Step:
    """A vector of the user and one of the item."""
    first, second = (short_vector(v.tolist()) for v in vectors)
    mark = "′" if "'" in a else ""
    return Step(
        box, f"p{mark} and q{mark}, the vectors of the {of}", rf"{a},\ {b} \in \mathbb{{R}}^{{{size}}}",
        rf"{a} = {first},\quad {b} = {second}", matrix(vectors, labels),
        "The two parts have vectors of their own; nothing is shared.",
    )  # fmt: skip
