"""The steps of DHEN's five interaction modules, each with the numbers of the place where its result is largest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ...layers.ensemble import AttentionModule, ConvolutionModule, CrossModule, DotModule, LinearModule
from .shared import Run, matrix, network_steps, numbered, places_in
from .steps import Step, norm_of, product_of, relu_of, softmax_of, weighted_of
from .towers import dots_steps

#: box, what the titles begin with, the module, the run, X (m, d), names of X's vectors -> steps
ModuleSteps = Callable[[int, str, Any, Run, Tensor, Sequence[str]], list[Step]]


def largest(values: Tensor) -> tuple[int, int]:
    """Line and column of the largest size."""
    line, column = divmod(int(values.abs().argmax()), values.shape[1])
    return line, column


def brief(names: Sequence[str]) -> list[str]:
    """Fields without their values, where there is little room."""
    return [name.split(": ", 1)[0] for name in names]


def _mixed(
    box: int, title: str, project: nn.Linear, given: Tensor, made: Tensor, names: Sequence[str], formula: str
) -> Step:  # fmt: skip
    """Mixtures of vectors: W and a bias, (n, d) -> (l, d)."""
    i, j = largest(made)
    numbers = weighted_of(
        project.weight[i].tolist(), given[:, j].tolist(), made[i, j].item(), brief(names), project.bias[i].item()
    )
    note = f"The numbers are those of vector {i + 1} at number {j + 1}; every number of it has the same weights."
    return Step(box, title, formula, numbers, matrix(made, numbered("vector", len(made))), note)


def _linear(box: int, where: str, module: LinearModule, run: Run, x: Tensor, names: Sequence[str]) -> list[Step]:
    made = run.output(module)
    title = f"{where}{len(x)} vectors mixed to {len(made)}"
    return [_mixed(box, title, module.project, x, made, names, "u = W X + b")]


def _cross(box: int, where: str, module: CrossModule, run: Run, x: Tensor, names: Sequence[str]) -> list[Step]:
    inner, d = run.output(module.cross), x.shape[1]  # (m·d,)
    crossed = x * inner.view_as(x)
    i, j = largest(crossed)
    k = i * d + j
    numbers = weighted_of(
        module.cross.weight[k].tolist(), x.flatten().tolist(), inner[k].item(), places_in(brief(names), d),
        module.cross.bias[k].item(),
    )  # fmt: skip
    numbers += r",\quad " + product_of([x[i, j].item(), inner[k].item()], crossed[i, j].item())
    made = run.output(module)
    return [
        Step(
            box, f"{where}every number times a mixture of all", r"X \odot \mathrm{mat}(A\, \mathrm{vec} X + b)",
            numbers, matrix(crossed, names), f"The numbers are those of *{names[i]}* at number {j + 1}, the largest.",
        ),
        _mixed(
            box, f"{where}{len(x)} vectors mixed to {len(made)}", module.project, crossed, made, names,
            r"u = W\,(X \odot \mathrm{mat}(A\, \mathrm{vec} X + b)) + b'",
        ),
    ]  # fmt: skip


def _dot(box: int, where: str, module: DotModule, run: Run, x: Tensor, names: Sequence[str]) -> list[Step]:
    steps, y, of = [], x, list(names)
    if module.compress is not None:
        y = run.output(module.compress).T  # (k, d)
        (i, j), of = largest(y), numbered("mixture", len(y))
        steps.append(
            Step(
                box, f"{where}{len(x)} vectors compressed to {len(y)}", "Y = W_c X",
                weighted_of(module.compress.weight[i].tolist(), x[:, j].tolist(), y[i, j].item(), brief(names)),
                matrix(y, of), f"So there are fewer pairs. The numbers are those of mixture {i + 1} at number {j + 1}.",
            )
        )  # fmt: skip
    read = run.input(module.mlp)
    dots = read[x.numel() :]
    formulas = r"\langle y_a, y_b \rangle", r"P = \mathrm{tril}(Y Y^\top)"
    if module.compress is None:
        formulas = r"\langle x_a, x_b \rangle", r"P = \mathrm{tril}(X X^\top)"
    note = f"Each pair stands once. The module's network reads these {len(dots)} numbers and the {x.numel()} of X."
    if len(dots):
        steps += dots_steps(box, y, dots, of, formulas, note, where)
    rows, columns = torch.tril_indices(len(y), len(y), offset=-1).tolist()
    reads = [
        *places_in(brief(names), x.shape[1]),
        *(f"{brief(of)[b]} × {brief(of)[a]}" for a, b in zip(rows, columns, strict=True)),
    ]
    layers = network_steps(
        box,
        module.mlp,
        run,
        reads,
        "[X, P]",
        r"u = \mathrm{mat}(W'_1 h_1 + b'_1)",
        words=f"{where}network, layer",
        mark="'",
    )
    made = run.output(module)
    title = f"{where}{len(layers[-2].result.columns)} numbers to {len(made)} vectors"
    i, j = largest(made)
    note = f"The numbers are those of vector {i + 1} at number {j + 1}, the largest."
    layers[-1] = replace(layers[-1], title=title, result=matrix(made, numbered("vector", len(made))), note=note)
    return [*steps, *layers]


def _convolution(
    box: int, where: str, module: ConvolutionModule, run: Run, x: Tensor, names: Sequence[str]
) -> list[Step]:  # fmt: skip
    filters, pre = module.convolution, run.output(module.convolution)  # (C, m, d)
    maps = torch.relu(pre)
    c, rest = divmod(int(maps.argmax()), x.numel())
    i, j = divmod(rest, x.shape[1])
    window = pad(x, (1, 1, 1, 1))[i : i + 3, j : j + 3]
    near = [[i + a, j + b] for a in (-1, 0, 1) for b in (-1, 0, 1)]
    inside = [0 <= a < len(x) and 0 <= b < x.shape[1] for a, b in near]
    words = [
        f"{brief(names)[a]} [{b + 1}]" if ok else "beyond the edge" for (a, b), ok in zip(near, inside, strict=True)
    ]
    numbers = weighted_of(
        filters.weight[c, 0].flatten().tolist(), window.flatten().tolist(), pre[c, i, j].item(), words,
        cast(Tensor, filters.bias)[c].item(),
    )  # fmt: skip
    numbers += r",\quad " + relu_of(pre[c, i, j].item(), maps[c, i, j].item())
    made, stacked = run.output(module), maps.flatten(0, 1)  # (l, d), (C·m, d)
    of = [f"map {k + 1}, {name}" for k in range(len(maps)) for name in brief(names)]
    return [
        Step(
            box, f"{where}windows of 3 × 3 numbers", r"\mathrm{ReLU}(\mathrm{Conv}_{3 \times 3}(X))", numbers,
            matrix(maps[c], names),
            f"Map {c + 1} of {len(maps)}; the numbers are those around *{names[i]}* at number {j + 1}, its largest.",
        ),
        _mixed(
            box, f"{where}{len(of)} lines mixed to {len(made)} vectors", module.project, stacked, made, of,
            r"u = W\, \mathrm{ReLU}(\mathrm{Conv}_{3 \times 3}(X)) + b",
        ),
    ]  # fmt: skip


def _attention(box: int, where: str, module: AttentionModule, run: Run, x: Tensor, names: Sequence[str]) -> list[Step]:
    encoder, d = module.encoder, x.shape[1]
    look, (alpha,) = encoder.self_attn, module.attention(x[None])  # (m, m)
    q, k, v = (x @ look.in_proj_weight.T + look.in_proj_bias).split(d, 1)
    scores, far = q @ k.T / d**0.5, alpha.clone()
    if len(x) > 1:
        far.fill_diagonal_(0)
    a, b = largest(far)
    heard = x + (alpha @ v) @ look.out_proj.weight.T + look.out_proj.bias
    first = encoder.norm1(heard)
    second = first + encoder.linear2(torch.relu(encoder.linear1(first)))
    made, out = run.output(encoder), run.output(module)
    steps = [
        Step(
            box, f"{where}who looks at whom",
            r"\alpha_{m,k} = \frac{e^{s_{m,k}}}{\sum_j e^{s_{m,j}}},\quad "
            r"s_{m,k} = \tfrac{1}{\sqrt d} \langle W_Q x_m + b_Q, W_K x_k + b_K \rangle",
            softmax_of(scores[a].tolist(), b, alpha[a, b].item()), matrix(alpha, names, names),
            f"The numbers are those of *{names[a]}* looking at *{names[b]}*. Each line sums to 1.",
        )
    ]  # fmt: skip
    for norm, given, now, title, formula in (
        (encoder.norm1, heard, first, "what was heard is added", r"X' = \mathrm{Norm}(X + W_O (\alpha V) + b_O)"),
        (encoder.norm2, second, made, "a network is added", r"X'' = \mathrm{Norm}(X' + \mathrm{MLP}(X'))"),
    ):
        steps.append(norm_step(box, f"{where}{title}, norm", formula, norm, given, now, names))
    title = f"{where}{len(x)} vectors mixed to {len(out)}"
    return [*steps, _mixed(box, title, module.project, made, out, names, "u = W X'' + b")]


def norm_step(
    box: int, title: str, formula: str, norm: nn.LayerNorm, given: Tensor, made: Tensor, names: Sequence[str]
) -> Step:  # fmt: skip
    """A layer norm over the numbers of each vector, (n, d) -> (n, d); the formula names its input and output."""
    i, j = largest(made)
    numbers = norm_of(given[i].tolist(), j, norm.weight[j].item(), norm.bias[j].item(), made[i, j].item(), norm.eps)
    note = (
        f"The numbers are those of *{names[i]}* at number {j + 1}: less the vector's mean, over its standard "
        "deviation, times a learned scale, plus a learned shift."
    )
    formula += r",\quad \mathrm{Norm}(y)_j = \frac{y_j - \mu}{\sqrt{\sigma^2 + \epsilon}} \cdot \gamma_j + \beta_j"
    return Step(box, title, formula, numbers, matrix(made, names), note)


#: name of a module -> its steps
MODULES: dict[str, ModuleSteps] = {
    "dot": _dot,
    "attention": _attention,
    "convolution": _convolution,
    "linear": _linear,
    "cross": _cross,
}
