"""What the traces share: a record of one run of a model, names of what is in a row, and steps that many models have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ...fields import PADDING, Field, Rows
from ...layers import FieldEmbedding
from ...models import Model
from .steps import Step, largest_of, plain, product_of, relu_of, short_vector, sigmoid_of, sum_of, vector, weighted_of


@dataclass(frozen=True)
class Run:
    """What one row did to a model: the input and the output of every layer, the parts of the logit, the logit."""

    seen: Mapping[nn.Module, tuple[Any, Tensor]]
    parts: Mapping[str, float]
    fine: Mapping[str, float]
    logit: float

    def input(self, layer: nn.Module) -> Any:
        """What a layer was given: a vector for the one row, or rows."""
        given = self.seen[layer][0]
        return given[0] if isinstance(given, Tensor) else given

    def output(self, layer: nn.Module) -> Tensor:
        """What a layer made of the one row."""
        return self.seen[layer][1][0]


@contextmanager
def _listening(model: nn.Module) -> Iterator[dict[nn.Module, tuple[Any, Tensor]]]:
    """Keep what goes into and out of every layer while the model runs; dropout is off."""
    seen: dict[nn.Module, tuple[Any, Tensor]] = {}

    def keep(layer: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
        seen[layer] = (given[0], made)

    hooks = [layer.register_forward_hook(keep) for layer in model.modules()]
    training = model.training
    model.eval()
    try:
        yield seen
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def record(model: Model, rows: Rows) -> Run:
    """Run a model on one row and keep what every layer did.

    Raises:
        ValueError: for another number of rows.
    """
    if len(rows) != 1:
        raise ValueError(f"trace: got {len(rows)} rows, expected one")
    with _listening(model) as seen:
        logit = model(rows).item()
        kept = dict(seen)
        parts, fine = ({k: v.item() for k, v in model.parts(rows, fine=f).items()} for f in (False, True))
    return Run(kept, parts, fine, logit)


# --- names ----------------------------------------------------------------------------------------------------------


def values_of(fields: Sequence[Field], rows: Rows) -> dict[str, str]:
    """The value of every field that has a single one, in words."""
    column, words = 0, {}
    for f in fields:
        if f.kind == "categorical":
            words[f.name] = f.vocabulary.label(int(rows.ids[0, column]))  # type: ignore[union-attr]
            column += 1
    return words


def features(fields: Sequence[Field], rows: Rows, words: Mapping[str, str]) -> tuple[list[str], list[int]]:
    """The row's features in words, and their places among all that the model looks at; padding is left out."""
    own, names, places, at = values_of(fields, rows), [], [], 0
    for f in fields:
        if not f.is_bag:
            names.append(f.name if f.kind == "numeric" else f"{f.name}: {words.get(f.name, own[f.name])}")
            places.append(at)
            at += 1
            continue
        for k, value in enumerate(rows.bags[f.name][0].tolist()):
            if value != PADDING:
                names.append(f"{f.name}: {f.vocabulary.label(value)}")  # type: ignore[union-attr]
                places.append(at + k)
        at += rows.bags[f.name].shape[1]
    return once(names), places


def field_words(fields: Sequence[Field], rows: Rows, words: Mapping[str, str]) -> list[str]:
    """A name for the vector of each field: with its value, or with how many values it has."""
    own = values_of(fields, rows)
    count = {name: int((bag[0] != PADDING).sum()) for name, bag in rows.bags.items()}
    return [
        f"{f.name} ({count[f.name]} {'value' if count[f.name] == 1 else 'values'})" if f.is_bag
        else f.name if f.kind == "numeric" else f"{f.name}: {words.get(f.name, own[f.name])}"
        for f in fields
    ]  # fmt: skip


def places_in(names: Sequence[str], dim: int) -> list[str]:
    """Names of the numbers of several vectors side by side."""
    return [f"{name} [{k + 1}]" for name in names for k in range(dim)]


def numbered(word: str, count: int) -> list[str]:
    """``unit 1``, ``unit 2`` …"""
    return [f"{word} {k + 1}" for k in range(count)]


def _value(name: str) -> str:
    """A feature without its field."""
    return name.split(": ", 1)[-1]


def once(names: Sequence[str]) -> list[str]:
    """The same name a second time gets a number."""
    met: dict[str, int] = {}
    out = []
    for name in names:
        met[name] = met.get(name, 0) + 1
        out.append(name if met[name] == 1 else f"{name} ({met[name]})")
    return out


def matrix(values: Tensor, index: Sequence[str], columns: Sequence[str] = ()) -> pd.DataFrame:
    """A tensor of two axes with names on both."""
    made = values.detach().numpy().astype(float)
    return pd.DataFrame(made, index=list(index), columns=list(columns) or numbered("number", made.shape[1]))


# --- steps that many models have ------------------------------------------------------------------------------------


def features_step(box: int, embedding: FieldEmbedding, rows: Rows, words: Mapping[str, str], title: str = "") -> Step:
    """The row as x: 1 for a value, 1/n for each of n, a number as it is."""
    names, places = features(embedding.fields, rows, words)
    x = embedding.active(rows)[1][0, places]
    kinds = {f.kind for f in embedding.fields}
    says = []
    if "categorical" in kinds:
        says.append(r"x_i = 1 \text{ for a value}")
    if kinds & {"multi_hot", "history"}:
        says.append(r"x_i = \tfrac{1}{n} \text{ for each of } n \text{ values}")
    if "numeric" in kinds:
        says.append(r"x_i = \text{the number itself}")
    bags = {
        f.name: [k for k, n in enumerate(names) if n.startswith(f"{f.name}: ")] for f in embedding.fields if f.is_bag
    }
    longest = max(bags.values(), key=len, default=[])
    if longest:
        numbers = sum_of(x[longest].tolist(), 1.0, [plain(_value(names[k])) for k in longest])
    else:
        some = sorted(range(len(names)), key=lambda k: x[k].item() == 1)[:3]
        shown = [rf"x_{{\text{{{plain(names[k])}}}}} = {x[k].item():.3f}" for k in some]
        numbers = r",\quad ".join(shown) or r"\text{no value at all}"
    return Step(
        box, title or "The row as numbers", r",\quad ".join(says), numbers, matrix(x[:, None], names, ["xᵢ"]),
        f"{int((x != 0).sum())} features are not zero; all the others cost nothing.",
    )  # fmt: skip


def weights_step(box: int, weights: FieldEmbedding, run: Run, words: Mapping[str, str], rows: Rows) -> Step:
    """A weight per feature, and their sum."""
    names, places = features(weights.fields, rows, words)
    index, x = (t[0, places] for t in weights.active(rows))
    w, terms = weights.table.weight[index, 0], weights.expand(rows)[0, places]  # (N, 1)
    top = names[int(terms[:, 0].abs().argmax())]
    return Step(
        box, "A weight for each feature", r"\sum_i w_i x_i",
        weighted_of(w.tolist(), x.tolist(), run.parts["linear"], names), matrix(terms, names, ["wᵢ xᵢ"]),
        f"The largest product here is that of *{top}*.",
    )  # fmt: skip


def vectors_step(box: int, embedding: FieldEmbedding, rows: Rows, words: Mapping[str, str]) -> Step:
    """A vector per feature, times its x."""
    names, places = features(embedding.fields, rows, words)
    index, x = (t[0, places] for t in embedding.active(rows))
    made, k = embedding.expand(rows)[0, places], int(x.argmin())
    v = embedding.table.weight[index[k]]
    numbers = rf"{x[k].item():.3f} \cdot {short_vector(v.tolist())} = {short_vector(made[k].tolist())}"
    product_of([x[k].item(), v[0].item()], made[k, 0].item())
    return Step(
        box, "A vector for each feature", r"x_i v_i, \quad v_i \in \mathbb{R}^d", numbers, matrix(made, names),
        f"The numbers are those of *{names[k]}*.",
    )  # fmt: skip


def fields_step(
    box: int, embedding: FieldEmbedding, rows: Rows, words: Mapping[str, str], symbol: str = "e", title: str = ""
) -> Step:  # fmt: skip
    """A vector per field: the sum of its features' vectors."""
    names, places = features(embedding.fields, rows, words)
    labels, e = field_words(embedding.fields, rows, words), embedding(rows)[0]  # (F, d)
    index, x = (t[0, places] for t in embedding.active(rows))
    v = embedding.table.weight[index]
    sizes = [[k for k, n in enumerate(names) if n == f.name or n.startswith(f"{f.name}: ")] for f in embedding.fields]
    f = max(range(len(sizes)), key=lambda k: (len(sizes[k]), x[sizes[k]].tolist() not in ([0.0], [1.0])))
    numbers = weighted_of(
        x[sizes[f]].tolist(), v[sizes[f], 0].tolist(), e[f, 0].item(), [_value(names[k]) for k in sizes[f]]
    )
    return Step(
        box, title or "A vector for each field", rf"{symbol}_f = \sum_{{i \in f}} x_i v_i", numbers, matrix(e, labels),
        f"The numbers make the first entry of *{labels[f]}*. A value that training never showed has the vector 0.",
    )  # fmt: skip


def network_steps(
    box: int, network: nn.Module, run: Run, names: Sequence[str], start: str = "h_0", last: str = "", made: str = "",
    symbol: str = "h", words: str = "Hidden layer", first: int = 0, mark: str = "",
) -> list[Step]:  # fmt: skip
    r"""The layers of a network, with the sum behind the unit that came out largest.

    Args:
        network: layers in a row; linear ones, some followed by a ReLU.
        names: of the numbers that it reads.
        start: what it reads, in LaTeX.
        last: formula of a last linear layer.
        made: what a last linear layer of several outputs makes, the name of its table's line.
        symbol: of the hidden vectors.
        words: how the steps are called.
        first: number of the first layer's weights in the chapter.
        mark: behind W and b, where the chapter has other ones of that name.
    """
    layers = [m for m in network.children() if not isinstance(m, nn.Dropout)]
    steps: list[Step] = []
    given = start
    for place, linear in enumerate(layers):
        if not isinstance(linear, nn.Linear):
            continue
        relu = layers[place + 1] if place + 1 < len(layers) else None
        level, pre = len(steps), run.output(linear)
        out = pre if relu is None else run.output(relu)
        k = int((pre.abs() if relu is None else pre).argmax())
        bias = None if linear.bias is None else linear.bias[k].item()
        numbers = weighted_of(linear.weight[k].tolist(), run.input(linear).tolist(), pre[k].item(), names, bias)
        if relu is None:
            title = (
                f"{len(names)} numbers to one" if len(out) == 1 else f"Last layer: {len(names)} numbers to {len(out)}"
            )
            note = f"The numbers are those of number {k + 1}, the largest." if len(out) > 1 else ""
            table = vector(out.tolist(), made or "output", numbered("number", len(out)))
            steps.append(Step(box, title, last, numbers, table, note))
            break
        title = f"{words} {level + 1}: {len(names)} numbers to {len(out)}"
        now = f"{symbol}_{{{level + 1}}}"
        formula = rf"{now} = \mathrm{{ReLU}}(W{mark}_{{{first + level}}} {given} + b{mark}_{{{first + level}}})"
        numbers += r",\quad " + relu_of(pre[k].item(), out[k].item())
        note = (
            f"The numbers are those of unit {k + 1}, the largest. Above 0: {int((out > 0).sum())} of {len(out)} units."
        )
        table = vector(out.tolist(), f"{symbol} after layer {level + 1}", numbered("unit", len(out)))
        steps.append(Step(box, title, formula, numbers, table, note))
        names, given = list(table.columns), now
    return steps


def sum_step(box: int, run: Run, formula: str, names: Mapping[str, str]) -> Step:
    """The parts of the logit and their sum."""
    labels = [names.get(k, k) for k in run.parts]
    numbers = "z = " + largest_of(list(run.parts.values()), run.logit, labels)
    table = vector([*run.parts.values(), run.logit], "log-odds", [*labels, "z"])
    most = max(run.parts, key=lambda k: abs(run.parts[k]))
    return Step(box, "All parts together", formula, numbers, table, f"The largest part is *{names.get(most, most)}*.")


def output_step(box: int, run: Run, note: str = "") -> Step:
    """The probability."""
    p = torch.sigmoid(torch.tensor(run.logit)).item()
    table = vector([p], "chance", ["ŷ"])
    made = r"\hat y = " + sigmoid_of(run.logit)
    return Step(box, "The chance", r"\hat y = \sigma(z) = \frac{1}{1 + e^{-z}}", made, table, note or in_percent(p))


def in_percent(p: float) -> str:
    """What the model answers, in words."""
    return f"The model gives this row a chance of {100 * p:.1f} %."


def strongest(table: pd.DataFrame) -> tuple[int, int]:
    """Line and column of the largest size in a table."""
    at = int(np.nanargmax(np.abs(table.to_numpy(float))))
    return divmod(at, table.shape[1])
