"""FuxiCTR beside ours. Its package has layers and blocks; its models lie in a model zoo that is not installed, so
where a model is compared it is put together here from the package's pieces, a line of ``forward`` each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch
from fuxictr import metrics
from fuxictr.features import FeatureMap
from fuxictr.pytorch import layers as parts
from torch import Tensor, nn

from recsys_lite.fields import Field, Rows

from . import scores
from .cases import DIM, FIELDS, HIDDEN, MIXED, PLAIN, SIZES, WIDTH
from .entry import Entry, Value, answer
from .experts import one_row, start
from .links import FAN, FAN_FORMULA, GATES, GATES_FORMULA, SQUEEZED, dense, mixture, normed, tables
from .measure import Case, Link, Peer

CROSSES = "fuxictr/pytorch/layers/interactions/cross_net.py"
PRODUCTS = "fuxictr/pytorch/layers/interactions/inner_product.py"
BLOCKS = "fuxictr/pytorch/layers/blocks/{}.py"
PAIRS = FIELDS * (FIELDS + 1) // 2  # of the fields and DLRM's vector of numbers


def columns(fields: list[Field]) -> FeatureMap:
    """Their description of our fields."""
    made = FeatureMap("invented", tempfile.gettempdir())
    for f in fields:
        kind = {"type": "categorical", "vocab_size": f.size} if f.kind == "categorical" else {"type": "numeric"}
        made.features[f.name] = kind | {"source": ""}
    made.num_fields, made.labels, made.default_emb_dim = len(fields), ["label"], DIM
    return made


def inputs(fields: list[Field], rows: Rows) -> dict[str, Tensor]:
    names = [[f.name for f in fields if (f.kind == "numeric") == number] for number in (False, True)]
    return dict(zip([*names[0], *names[1]], [*rows.ids.T, *rows.numeric.T], strict=True))


class Assembled(nn.Module):
    """Pieces of the package by name, and how they are called: (pieces, inputs, embeddings (B, F, d)) -> (B, 1)."""

    def __init__(self, fields: list[Field], forward: Callable[..., Tensor], skip: Any = None, **pieces: Any):
        super().__init__()
        self.fields, self.combined = fields, forward
        self.embedding = parts.FeatureEmbedding(columns(fields), DIM, not_required_feature_columns=skip)
        for name, piece in pieces.items():
            self.add_module(name, piece)

    def forward(self, rows: Rows) -> Tensor:
        x = inputs(self.fields, rows)
        return self.combined(self, x, self.embedding(x)).squeeze(1)

    def vectors(self, name: str = "embedding.table.weight") -> list[Link]:
        return embedded(name, self.embedding, [f for f in self.fields if f.name in self._read()])

    def _read(self) -> Any:
        return self.embedding.embedding_layer.embedding_layers


def embedded(name: str, embedding: Any, fields: list[Field]) -> list[Link]:
    """Tables of categorical fields, and the row of a number, which is a linear layer of theirs."""
    tables_ = embedding.embedding_layer.embedding_layers
    links, at = tables(name, [tables_[f.name].weight for f in fields if f.kind == "categorical"]), sum(SIZES.values())
    numeric = [f for f in fields if f.kind == "numeric"]
    links += [Link(name, tables_[f.name].weight, lambda t, k=at + k: t[k], lambda p: p[:, 0])  # type: ignore[misc]
              for k, f in enumerate(numeric)]  # fmt: skip
    return links


def linear(block: Any, fields: list[Field] = PLAIN) -> list[Link]:
    return [*embedded("weights.table.weight", block.embedding_layer, fields), Link("bias", block.bias, _one)]


def _one(p: Tensor) -> Tensor:
    return p.view(1)


def network(width: int, last: bool = True) -> Any:
    return parts.MLP_Block(width, list(HIDDEN), output_dim=1 if last else None)


def cross(kind: Any) -> Any:
    def build(case: Case) -> Peer:
        theirs = kind(WIDTH, 3).double()
        return Peer(theirs, crossing("", theirs))

    return build


def crossing(prefix: str, net: Any) -> list[Link]:
    if isinstance(net, parts.CrossNet):
        pieces = [(layer.weight.weight, layer.bias, lambda p: p.squeeze(0)) for layer in net.cross_net]
    else:
        pieces = [(layer.weight, layer.bias, lambda p: p) for layer in net.cross_layers]
    return [
        link for k, (weight, bias, view) in enumerate(pieces) for link in (
            Link(f"{prefix}weight", weight, lambda t, k=k: t[k], view),
            Link(f"{prefix}bias", bias, lambda t, k=k: t[k]),
        )
    ]  # fmt: skip


def mixed(prefix: str, net: Any) -> list[Link]:
    return mixture(prefix, net.U_list, net.V_list, net.C_list, net.gating, net.bias)


def mix(layers: int) -> Any:
    def build(case: Case) -> Peer:
        theirs = parts.CrossNetMix(WIDTH, layers, 2, 3).double()
        return Peer(theirs, mixed("", theirs))

    return build


def products(case: Case) -> Peer:
    """Theirs lists the pairs of the upper triangle row by row; the pair (i, j) is the one that ours calls (j, i)."""
    theirs = parts.InnerProductInteraction(FIELDS, output="inner_product").double()
    return Peer(theirs, [], lambda m, x: m(x)[:, order(FIELDS)])


def order(vectors: int) -> list[int]:
    """The place in theirs of each pair of ours."""
    i, j = torch.triu_indices(vectors, vectors, 1)
    place = {(a, b): k for k, (a, b) in enumerate(zip(i.tolist(), j.tolist(), strict=True))}
    row, column = torch.tril_indices(vectors, vectors, -1)
    return [place[b, a] for a, b in zip(row.tolist(), column.tolist(), strict=True)]


def fm_sum(case: Case) -> Peer:
    return Peer(parts.InnerProductInteraction(FIELDS).double(), [], lambda m, x: m(x).squeeze(1))


def mlp(batch_norm: bool) -> Any:
    def build(case: Case) -> Peer:
        theirs = parts.MLP_Block(WIDTH, list(HIDDEN), output_dim=1, batch_norm=batch_norm).double()
        return Peer(theirs, normed("", theirs) if batch_norm else dense("", _linears(theirs)))

    return build


def _linears(network: nn.Module) -> list[nn.Linear]:
    return [m for m in network.modules() if isinstance(m, nn.Linear)]


def logistic(case: Case) -> Peer:
    theirs = parts.LogisticRegression(columns(PLAIN)).double()
    return Peer(theirs, linear(theirs), lambda m, rows: m(inputs(PLAIN, rows)).squeeze(1))


def fm(fields: list[Field], precision: str) -> Any:
    def build(case: Case) -> Peer:
        theirs = Assembled(fields, lambda m, x, e: m.fm(x, e), fm=parts.FactorizationMachine(columns(fields)))
        theirs.to(getattr(torch, precision))
        return Peer(theirs, theirs.vectors() + linear(theirs.fm.lr_layer, fields))

    return build


def deep(block: str) -> Any:
    """DeepFM and Wide & Deep: a block beside a network, whose last bias ours may not have."""

    def build(case: Case) -> Peer:
        kind = parts.FactorizationMachine if block == "fm" else parts.LogisticRegression
        call = (lambda m, x, e: m.fm(x, e)) if block == "fm" else (lambda m, x, e: m.fm(x))
        both = lambda m, x, e: call(m, x, e) + m.mlp(e.flatten(1))  # noqa: E731
        theirs = Assembled(PLAIN, both, fm=kind(columns(PLAIN)), mlp=network(FIELDS * DIM)).double()
        links = theirs.vectors() + linear(theirs.fm.lr_layer if block == "fm" else theirs.fm)
        links += dense("mlp.", _linears(theirs.mlp))
        last, held = f"mlp.{2 * len(HIDDEN)}.bias", {}
        if last not in dict(case.module.named_parameters()):
            links = [link for link in links if link.name != last]
            held["mlp.mlp.4.bias"] = 0.0
        return Peer(theirs, links, held=held)

    return build


def crossed(net: Any, stacked: bool = False) -> Any:
    def build(case: Case) -> Peer:
        width = FIELDS * DIM
        if stacked:
            forward = lambda m, x, e: m.last(m.mlp(m.cross(e.flatten(1))))  # noqa: E731
        else:
            forward = lambda m, x, e: m.last(torch.cat([m.cross(e.flatten(1)), m.mlp(e.flatten(1))], 1))  # noqa: E731
        last = nn.Linear(HIDDEN[-1] + (0 if stacked else width), 1)
        theirs = Assembled(PLAIN, forward, cross=net(width), mlp=network(width, last=False), last=last).double()
        links = theirs.vectors("input.embedding.table.weight") + dense("mlp.", _linears(theirs.mlp))
        links += (mixed if isinstance(theirs.cross, parts.CrossNetMix) else crossing)("cross.", theirs.cross)
        return Peer(theirs, [*links, Link("combine.weight", last.weight), Link("combine.bias", last.bias)])

    return build


def dlrm(case: Case) -> Peer:
    """As in the model zoo, the products first and z last; so the columns of the first layer are in another order."""
    numeric = [f.name for f in MIXED if f.kind == "numeric"]

    def forward(m: Any, x: dict[str, Tensor], e: Tensor) -> Tensor:
        z = m.bottom(torch.stack([x[n] for n in numeric], 1))
        return m.top(torch.cat([m.pairs(torch.cat([z.unsqueeze(1), e], 1)), z], 1))

    bottom = parts.MLP_Block(len(numeric), [5], output_dim=DIM, output_activation="ReLU")
    pairs = parts.InnerProductInteraction(FIELDS + 1, output="inner_product")
    top = parts.MLP_Block(DIM + PAIRS, [5], output_dim=1)
    theirs = Assembled(MIXED, forward, skip=numeric, bottom=bottom, pairs=pairs, top=top).double()
    links = theirs.vectors() + dense("bottom.", _linears(bottom)) + dense("top.", _linears(top))
    first = next(link for link in links if link.name == "top.0.weight")
    places = [PAIRS + k for k in range(DIM)] + order(FIELDS + 1)  # of ours in theirs
    first.ours = lambda t: t[:, torch.tensor(places).argsort()]
    return Peer(theirs, links)


def gauc() -> tuple[float, float]:
    y, p, g = scores.clicks()
    found = [metrics.gAUC(y[g == user], p[g == user]) for user in sorted(set(g.tolist()))]
    return scores.OURS["grouped_auc"](), sum(a for a, _ in found) / sum(n for _, n in found)


def ndcg() -> tuple[float, float]:
    score, wanted = scores.ranked()
    theirs = metrics.NDCG(scores.K)
    found = [theirs(w.double().numpy(), s.numpy()) for s, w in zip(score, wanted, strict=True)]
    return scores.OURS["ndcg@5"](), sum(found) / len(found)


def entries() -> list[Entry | Value]:
    net, made = parts, "assembled: {}"
    return [
        Entry("CrossNet", "CrossNet", cross(net.CrossNet), (CROSSES, "class CrossNet(")),
        Entry("CrossNetV2", "CrossNetV2", cross(net.CrossNetV2), (CROSSES, "class CrossNetV2(")),
        Entry("CrossNetMix, one layer", "CrossNetMix(layer_num=1)", mix(1), (CROSSES, "class CrossNetMix(")),
        Entry("CrossNetMix", "CrossNetMix", mix(3), (CROSSES, "class CrossNetMix( >> self.gating[expert_id]"), GATES,
              GATES_FORMULA, "CrossNetMix, gates shared"),
        Entry("fm_interaction", "InnerProductInteraction", fm_sum, (PRODUCTS, "class InnerProductInteraction(")),
        Entry("dot_interaction", "InnerProductInteraction(output='inner_product')", products,
              (PRODUCTS, "class InnerProductInteraction(")),
        Entry("MLP", "MLP_Block", mlp(False), (BLOCKS.format("mlp_block"), "class MLP_Block(")),
        Entry("MLP, batch norm", "MLP_Block(batch_norm=True)", mlp(True),
              (BLOCKS.format("mlp_block"), "class MLP_Block(")),
        Entry("LogisticRegression", "LogisticRegression", logistic,
              (BLOCKS.format("logistic_regression"), "class LogisticRegression(")),
        Entry("FM", "FactorizationMachine", fm(PLAIN, "float64"),
              (BLOCKS.format("factorization_machine"), "class FactorizationMachine(")),
        Entry("FM, with numbers", "FactorizationMachine", fm(MIXED, "float32"),
              (BLOCKS.format("factorization_machine"), "class FactorizationMachine("), precision="float32"),
        Entry("DeepFM", made.format("FactorizationMachine, MLP_Block"), deep("fm"),
              (BLOCKS.format("factorization_machine"), "class FactorizationMachine(")),
        Entry("WideDeep, no crosses", made.format("LogisticRegression, MLP_Block"), deep("linear"),
              (BLOCKS.format("logistic_regression"), "class LogisticRegression(")),
        Entry("DCN", made.format("CrossNet, MLP_Block"), crossed(lambda n: net.CrossNet(n, 3)),
              (CROSSES, "class CrossNet(")),
        Entry("DCNV2, parallel", made.format("CrossNetV2, MLP_Block"), crossed(lambda n: net.CrossNetV2(n, 2)),
              (CROSSES, "class CrossNetV2(")),
        Entry("DCNV2, stacked", made.format("CrossNetV2, MLP_Block"), crossed(lambda n: net.CrossNetV2(n, 2), True),
              (CROSSES, "class CrossNetV2(")),
        Entry("DCNV2, experts", made.format("CrossNetMix, MLP_Block"), crossed(lambda n: net.CrossNetMix(n, 2, 2, 3)),
              (CROSSES, "class CrossNetMix( >> self.gating[expert_id]"), GATES, GATES_FORMULA, "DCNV2, gates shared"),
        Entry("DLRM", made.format("InnerProductInteraction, MLP_Block"), dlrm,
              (PRODUCTS, "class InnerProductInteraction(")),
        Value("CrossNetMix, shape for one row", "layer", "CrossNetMix",
              one_row(lambda: parts.CrossNetMix(WIDTH, 2, 2, 3)),
              (CROSSES, "class CrossNetMix( >> x_l.squeeze()"), SQUEEZED, r"x_l.\mathrm{squeeze}()"),
        Value("CrossNetMix, sd of U at the start", "layer", "CrossNetMix",
              start(lambda: parts.CrossNetMix(64, 4, 8, 4), "U_list"),
              (CROSSES, "class CrossNetMix( >> xavier_normal_"), FAN, FAN_FORMULA),
        Value("grouped_auc", "metric", "gAUC", gauc, ("fuxictr/metrics.py", "def gAUC(")),
        Value("ndcg@5", "metric", "NDCG", ndcg, ("fuxictr/metrics.py", "class NDCG("), precision="float32"),
    ]  # fmt: skip


if __name__ == "__main__":
    answer("fuxictr", entries)
