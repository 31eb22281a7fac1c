"""RecBole beside ours. Its data sets read files; here a stand-in gives its models tensors and what else they ask."""

from __future__ import annotations

import math
import tempfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.evaluator import metrics
from recbole.model.layers import BaseFactorizationMachine, MLPLayers
from recbole.model.loss import BPRLoss
from recbole.utils import FeatureSource, get_model
from scipy.stats import rankdata
from torch import Tensor, nn

from bench.cost.peers.recbole import Columns
from recsys_lite.evaluation.metrics import group_aucs
from recsys_lite.fields import PADDING, Field, Rows
from recsys_lite.models import EASE, ItemKNN, LightGCN, Popularity
from recsys_lite.training.retrieval_steps import bpr_loss

from . import scores
from .cases import DIM, HIDDEN, ITEMS, MIXED, PLAIN, SIZES, USERS, WIDTH, edges, numbers, pairs
from .entry import Entry, Value, answer
from .links import CROSS, GATES, GATES_FORMULA, NO_CROSSES, NO_CROSSES_FORMULA, dense, normed
from .measure import Case, Link, Peer, weights

np.float = float  # type: ignore[attr-defined]  # RecBole 1.2.1 was written for NumPy 1
MODELS, GENERAL = "recbole/model/context_aware_recommender/{}.py", "recbole/model/general_recommender/{}.py"
EYE = torch.eye(DIM)


class Described(Columns):
    """Columns of which some are the user's and some the item's, for models with two sides."""

    def fields(self, source: Any = (), **_: Any) -> list[str]:
        names = [n for n in self.field2type if n != "label"]
        if not source or FeatureSource.INTERACTION in source:
            return names
        return [n for n in ("user", "genre") if FeatureSource.USER in source] or ["item"]

    def inter_matrix(self, form: str) -> Any:
        return super().inter_matrix(form).asformat(form)


def theirs(name: str, columns: dict[str, Tensor], sizes: dict[str, int], **options: Any) -> Any:
    """A model in float64."""
    made = {
        "embedding_size": DIM, "dropout_prob": 0.0, "mlp_hidden_size": list(HIDDEN), "use_gpu": False, "reg_weight": 0,
        "data_path": tempfile.gettempdir(), "checkpoint_dir": tempfile.gettempdir(), "show_progress": False,
        "LABEL_FIELD": "label", "numerical_features": [n for n in columns if n not in sizes], "state": "CRITICAL",
    }  # fmt: skip
    config = Config(model=name, dataset="invented", config_dict=made | options)
    torch.set_num_threads(1)  # the configuration sets its own
    return get_model(name)(config, Described(config, sizes, columns)).double()


def columns(fields: list[Field], rows: Rows) -> dict[str, Tensor]:
    """Rows as their columns; a number comes with its bucket."""
    names = [[f.name for f in fields if (f.kind == "numeric") == number] for number in (False, True)]
    numeric = [torch.stack([c, torch.zeros_like(c)], 1) for c in rows.numeric.T]
    return dict(zip([*names[0], *names[1]], [*rows.ids.T.long(), *numeric], strict=True))


def context(name: str, case: Case, fields: list[Field] = PLAIN, **options: Any) -> tuple[Any, Any]:
    """One of their models of columns, and its call, which gives logits."""
    chance = name == "DCNV2"
    given = {n: c if n in SIZES else c.float() for n, c in columns(fields, case.inputs).items()}
    call = lambda m, rows: m.forward(Interaction(columns(fields, rows)))  # noqa: E731
    return theirs(name, given, SIZES, **options), (lambda m, x: torch.logit(call(m, x))) if chance else call


def vectors(model: Any, fields: list[Field] = PLAIN, name: str = "embedding.table.weight") -> list[Link]:
    """A fused table of the ids, and one of the numbers."""
    ids = sum(SIZES.values())
    links = [Link(name, model.token_embedding_table.embedding.weight, lambda t: t[:ids])]
    if len(fields) > len(PLAIN):
        links.append(Link(name, model.float_embedding_table.embedding.weight, lambda t: t[ids:]))
    return links


def linear(model: Any, fields: list[Field] = PLAIN) -> list[Link]:
    first = model.first_order_linear
    return [*vectors(first, fields, "weights.table.weight"), Link("bias", first.bias, lambda p: p.view(1))]


def unread(model: Any, *parts: str) -> None:
    """Parts that the base class makes and the model does not read."""
    for part in parts:
        getattr(model, part).requires_grad_(False)


def network(model: Any) -> list[Link]:
    return dense(
        "mlp.", [*(m for m in model.mlp_layers.modules() if isinstance(m, nn.Linear)), model.deep_predict_layer]
    )


def sums(name: str, fields: list[Field] = PLAIN) -> Any:
    """LR, FM, DeepFM, WideDeep: a linear part, pairs, a network."""

    def build(case: Case) -> Peer:
        model, call = context(name, case, fields)
        links, held, our_held = linear(model, fields), {}, {}
        if name == "LR":
            unread(model, "token_embedding_table")
        else:
            links += vectors(model, fields)
        if name in ("DeepFM", "WideDeep"):
            links += network(model)
        if name == "DeepFM":  # ours has one bias
            links = [link for link in links if link.name != f"mlp.{2 * len(HIDDEN)}.bias"]
            held["deep_predict_layer.bias"] = 0.0
        if getattr(getattr(case.module, "crosses", None), "crosses", None):
            our_held["crosses.weight"] = CROSS
        return Peer(model, links, call, held, our_held)

    return build


def crossed(name: str, layers: int, **options: Any) -> Any:
    """DCN, DCNV2; their networks have batch norm."""

    def build(case: Case) -> Peer:
        model, call = context(name, case, cross_layer_num=layers, **options)
        unread(model, "first_order_linear")
        links, held = vectors(model, name="input.embedding.table.weight") + normed("mlp.", model.mlp_layers), {}
        biases = model.cross_layer_b if name == "DCN" else model.bias
        column = (lambda p: p) if name == "DCN" else (lambda p: p.squeeze(1))
        links += [Link("cross.bias", b, lambda t, k=k: t[k], column) for k, b in enumerate(biases)]  # type: ignore[misc]
        if options.get("mixed"):
            for ours, group in (("u", model.cross_layer_u), ("v", model.cross_layer_v), ("c", model.cross_layer_c)):
                links += [Link(f"cross.{ours}", p, lambda t, k=k: t[k]) for k, p in enumerate(group)]  # type: ignore[misc]
            for k, gate in enumerate(model.gating):
                links.append(Link("cross.gate", gate.weight, lambda t, k=k: t[0, k], lambda p: p[0]))  # type: ignore[misc]
                held[f"gating.{k}.bias"] = 0.0
        else:
            links += [Link("cross.weight", w, lambda t, k=k: t[k]) for k, w in enumerate(model.cross_layer_w)]  # type: ignore[misc]
        last = model.predict_layer
        return Peer(model, [*links, Link("combine.weight", last.weight), Link("combine.bias", last.bias)], call, held)

    return build


def autoint(by_rule: bool) -> Any:
    def build(case: Case) -> Peer:
        options = {
            "n_layers": 2,
            "num_heads": 2,
            "attention_size": DIM,
            "dropout_probs": [0.0] * 3,
            "has_residual": True,
        }
        model, call = context("AutoInt", case, **options)
        links = vectors(model)
        held: dict[str, Any] = {"att_embedding.weight": EYE, "att_embedding.bias": 0.0, "v_res_embedding.bias": 0.0}
        held |= {n: 0.0 for n, _ in model.named_parameters() if n.startswith(("first_order", "mlp_", "deep_predict"))}
        for k, layer in enumerate(model.self_attns):
            for j, part in enumerate(("query", "key", "value")):
                rows = slice(j * DIM, (j + 1) * DIM)
                links.append(Link(f"layers.{k}.{part}.weight", layer.in_proj_weight, theirs=lambda p, r=rows: p[r]))  # type: ignore[misc]
            held |= {f"self_attns.{k}.in_proj_bias": 0.0, f"self_attns.{k}.out_proj.weight": EYE,
                     f"self_attns.{k}.out_proj.bias": 0.0}  # fmt: skip
        links.append(Link("residual.weight" if by_rule else "layers.0.residual.weight", model.v_res_embedding.weight))
        links += [Link("combine.weight", model.attn_fc.weight), Link("combine.bias", model.attn_fc.bias)]
        return Peer(model, links, call, held, {} if by_rule else {"layers.1.residual.weight": 0.0})

    return build


def towers(by_rule: bool) -> Any:
    def build(case: Case) -> Peer:
        model, call = context("DSSM", case, mlp_hidden_size=[5, 3], double_tower=True)
        unread(model, "first_order_linear")
        table, at, links, held = model.token_embedding_table.embedding.weight, 0, [], {}
        for side, names in (("query", ("user", "genre")), ("candidate", ("item",))):
            end = at + sum(SIZES[n] for n in names)
            links.append(Link(f"{side}_tower.embedding.table.weight", table, theirs=lambda p, a=at, b=end: p[a:b]))  # type: ignore[misc]
            at = end
            net = "user_mlp_layers" if side == "query" else "item_mlp_layers"
            if by_rule:
                links += steps(f"{side}_tower.mlp.", getattr(model, net))
            else:
                links += normed(f"{side}_tower.mlp.", getattr(model, net))[:6]
                held |= {f"{net}.mlp_layers.{last_norm(model)}.{n}": v for n, v in (("weight", 1.0), ("bias", 0.0))}
        return Peer(model, links, call, held, {"bias": 0.0})

    return build


def last_norm(model: Any) -> str:
    """The place of the last batch norm in each of their networks."""
    return [n for n, m in model.user_mlp_layers.mlp_layers.named_children() if isinstance(m, nn.BatchNorm1d)][-1]


def steps(prefix: str, network: nn.Module) -> list[Link]:
    """Linear layers and norms in their order; ours has an activation behind each norm."""
    modules = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.BatchNorm1d))]
    return [
        Link(f"{prefix}{k // 2 * 3 + k % 2}.{n}", p) for k, m in enumerate(modules) for n, p in m.named_parameters()
    ]


def neumf(case: Case) -> Peer:
    sides = {"user_id": SIZES["user"], "item_id": SIZES["item"]}
    given = {n: case.inputs.ids[:, k].long() for k, n in enumerate(sides)}
    model = theirs("NeuMF", given, sides, mf_embedding_size=DIM, mlp_embedding_size=3, mf_train=True, mlp_train=True)
    links, users = [], SIZES["user"]
    for name, part in (("gmf", "mf"), ("sides", "mlp")):
        user, item = (getattr(model, f"{side}_{part}_embedding").weight for side in ("user", "item"))
        links += [Link(f"{name}.table.weight", user, lambda t: t[:users]),
                  Link(f"{name}.table.weight", item, lambda t: t[users:])]  # fmt: skip
    links += dense("mlp.", [m for m in model.mlp_layers.modules() if isinstance(m, nn.Linear)])
    links += [Link("h", model.predict_layer.weight, theirs=lambda p: p[0]),
              Link("bias", model.predict_layer.bias, lambda p: p.view(1))]  # fmt: skip
    return Peer(model, links, lambda m, rows: m(rows.ids[:, 0].long(), rows.ids[:, 1].long()))


def graph(name: str, **options: Any) -> Any:
    """A model of users and items, whose ids count from 1 there."""
    taken = {n: c + 1 for n, c in zip(("user_id", "item_id"), edges().T, strict=True)}
    return theirs(name, taken, {"user_id": USERS + 1, "item_id": ITEMS + 1}, **options)


def factors(name: str) -> Any:
    """LightGCN and BPR: two tables in the place of ours."""

    def build(case: Case) -> Peer:
        model = graph(name, n_layers=2).float()
        links = [Link("table", model.user_embedding.weight, lambda t: t[:USERS], lambda p: p[1:]),
                 Link("table", model.item_embedding.weight, lambda t: t[USERS:], lambda p: p[1:])]  # fmt: skip
        if name == "BPR":
            call = lambda m, x: (lambda u, i: (u * i).sum(1))(*m(x[:, 0] + 1, x[:, 1] + 1))  # noqa: E731
        else:
            call = lambda m, x: (lambda u, i: (u[x[:, 0] + 1] * i[x[:, 1] + 1]).sum(1))(*m())  # noqa: E731
        return Peer(model.to(next(case.module.parameters()).dtype), links, call)

    return build


def gru(case: Case) -> Peer:
    """Theirs has neither biases in the GRU nor one for each item."""
    given = {"user_id": torch.ones(1).long(), "item_id": torch.ones(1).long()}
    model = theirs("GRU4Rec", given, {"user_id": 2, "item_id": ITEMS + 1}, hidden_size=3, num_layers=1,
                   loss_type="CE", train_neg_sample_args=None)  # fmt: skip

    def call(m: Any, history: Tensor) -> Tensor:
        lengths = (history != PADDING).sum(1)
        turned = [
            torch.cat([h[:n].flip(0), h.new_zeros(4 - n)]) for h, n in zip(history, lengths.tolist(), strict=True)
        ]
        return m(torch.stack(turned), lengths) @ m.item_embedding.weight[1:].T

    cell = model.gru_layers
    links = [Link("items.weight", model.item_embedding.weight), Link("reader.net.weight_ih_l0", cell.weight_ih_l0),
             Link("reader.net.weight_hh_l0", cell.weight_hh_l0), Link("project.weight", model.dense.weight),
             Link("project.bias", model.dense.bias)]  # fmt: skip
    return Peer(model, links, call, our_held={"bias": 0.0, "reader.net.bias_ih_l0": 0.0, "reader.net.bias_hh_l0": 0.0})


def mlp(batch_norm: bool) -> Any:
    def build(case: Case) -> Peer:
        body, last = MLPLayers([WIDTH, *HIDDEN], bn=batch_norm), nn.Linear(HIDDEN[-1], 1)
        model = nn.Sequential(body, last).double()
        linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
        return Peer(model, normed("", model) if batch_norm else dense("", linears))

    return build


def fm(case: Case) -> Peer:
    return Peer(BaseFactorizationMachine().double(), [], lambda m, x: m(x).squeeze(1))


def all_scores(kind: Any, name: str, ours: dict[str, Any], **options: Any) -> Any:
    """A fixed weighted sum of all users' scores of all items."""

    def pair() -> tuple[float, float]:
        taken = torch.zeros(USERS, ITEMS, dtype=torch.bool)
        taken[tuple(edges().T)] = True
        data = SimpleNamespace(mask=lambda *_: taken, train=edges(), num_items=ITEMS)
        mine = kind(data, **ours).scores(torch.arange(USERS)).double()
        model, users = graph(name, **options), torch.arange(1, USERS + 1)
        if name == "Pop":
            for item in edges()[:, 1] + 1:
                model.calculate_loss({"item_id": item[None]})
            mine = mine / mine.max()
        other = model.full_sort_predict({"user_id": users}).view(USERS, ITEMS + 1)[:, 1:].double()
        w = weights(mine.shape, mine)
        return (mine * w).sum().item(), (other * w).sum().item()

    return pair


def penalised(require_pow: bool) -> Any:
    """The whole loss of LightGCN with a penalty of weight 1, from the same tables."""

    def pair() -> tuple[float, float]:
        ours, model = penalty_model(), graph("LightGCN", n_layers=2, reg_weight=1.0, require_pow=require_pow).float()
        with torch.no_grad():
            model.user_embedding.weight[1:] = ours.table[:USERS]
            model.item_embedding.weight[1:] = ours.table[USERS:]
        user, item, other = triples()
        batch = {"user_id": user + 1, "item_id": item + 1, "neg_item_id": other + 1}
        return bpr_loss(ours, user, item, other, decay=1.0).item(), model.calculate_loss(batch).item()

    return pair


def penalty_model() -> LightGCN:
    model = LightGCN((edges(), USERS, ITEMS), dim=DIM, layers=2)
    model.table.data = numbers(USERS + ITEMS, DIM).float()
    return model


def triples() -> tuple[Tensor, Tensor, Tensor]:
    user, item = pairs().T
    return user, item, (item + 5) % ITEMS


def unsquared() -> float:
    """Ours with their penalty: the norms of three tables of rows, not squared, over B."""
    model, (user, item, other) = penalty_model(), triples()
    rows = [model.table[user], model.table[USERS + item], model.table[USERS + other]]
    return (bpr_loss(model, user, item, other, decay=0.0) + sum(r.norm() for r in rows) / len(user)).item()


def listed(metric: Any, ours: str) -> Any:
    def pair() -> tuple[float, float]:
        score, wanted = scores.ranked()
        found = wanted.gather(1, score.topk(scores.K, 1).indices).numpy()
        return scores.OURS[ours](), float(metric.metric_info(None, found, wanted.sum(1).numpy())[:, -1].mean())

    return pair


def gauc() -> tuple[float, float]:
    y, p, g = scores.clicks()
    users = sorted(set(g.tolist()))
    rank = [rankdata(-p[g == u])[y[g == u] == 1].sum() for u in users]
    rows, positive = (np.array([f(y[g == u]) for u in users], float) for f in (len, sum))
    return scores.OURS["grouped_auc"](), float(metrics.GAUC.metric_info(None, np.array(rank), rows, positive))


def by_positives() -> float:
    y, p, g = scores.clicks()
    table = group_aucs(y, p, g)
    return float(np.average(table["auc"], weights=[y[g == user].sum() for user in table.index]))


def area() -> tuple[float, float]:
    y, p, _ = scores.clicks()
    return scores.OURS["auc"](), float(metrics.AUC.metric_info(None, p, y))


def entries() -> list[Entry | Value]:
    layers, loss, measured = "recbole/model/layers.py", "recbole/model/loss.py", "recbole/evaluator/metrics.py"
    at = lambda name, text: (MODELS.format(name), text)  # noqa: E731
    parallel, mixed = {"mixed": False, "structure": "parallel"}, {"mixed": True, "expert_num": 3, "low_rank": 2}
    return [
        Entry("fm_interaction", "BaseFactorizationMachine", fm, (layers, "class BaseFactorizationMachine(")),
        Entry("MLP", "MLPLayers", mlp(False), (layers, "class MLPLayers(")),
        Entry("MLP, batch norm", "MLPLayers(bn=True)", mlp(True), (layers, "class MLPLayers(")),
        Entry("LogisticRegression", "LR", sums("LR"), at("lr", "class LR(")),
        Entry("FM", "FM", sums("FM"), at("fm", "class FM(")),
        Entry("FM, with numbers", "FM", sums("FM", MIXED), at("fm", "class FM(")),
        Entry("WideDeep, no crosses", "WideDeep", sums("WideDeep"), at("widedeep", "class WideDeep(")),
        Entry("WideDeep", "WideDeep", sums("WideDeep"), at("widedeep", "fm_output = self.first_order_linear"),
              NO_CROSSES, NO_CROSSES_FORMULA, "WideDeep, no crosses"),
        Entry("DeepFM", "DeepFM", sums("DeepFM"), at("deepfm", "class DeepFM(")),
        Entry("NeuMF, output_bias=True", "NeuMF", neumf, (GENERAL.format("neumf"), "class NeuMF(")),
        Entry("DCN, batch norm", "DCN", crossed("DCN", 3), at("dcn", "class DCN(")),
        Entry("DCNV2, parallel, batch norm", "DCNV2(mixed=False, structure='parallel')",
              crossed("DCNV2", 2, **parallel), at("dcnv2", "class DCNV2(")),
        Entry("DCNV2, stacked, batch norm", "DCNV2(mixed=False, structure='stacked')",
              crossed("DCNV2", 2, mixed=False, structure="stacked"), at("dcnv2", "class DCNV2(")),
        Entry("DCNV2, experts, batch norm", "DCNV2(mixed=True)", crossed("DCNV2", 2, structure="parallel", **mixed),
              at("dcnv2", "self.gating[expert]"), GATES, GATES_FORMULA, "DCNV2, gates shared, batch norm"),
        Entry("AutoInt", "AutoInt", autoint(False), at("autoint", "for self_attn in self.self_attns:"),
              "The layers have neither a residual nor a ReLU of their own; one residual and one ReLU follow after the "
              "last. Scores are divided by √d'. (A map before the layers and one after each are held at the identity, "
              "the linear part and the network at 0.)",
              r"e' = \mathrm{ReLU}\big(\mathrm{Att}(\cdots \mathrm{Att}(e)) + W_{Res}\, e\big)",
              "AutoInt, residual at the end", autoint(True)),
        Entry("TwoTowers, batch norm", "DSSM", towers(False), at("dssm", "self.user_mlp_layers = MLPLayers("),
              "Every layer of the towers, the last one too, has batch norm and tanh where ours has ReLU and a linear "
              "last layer.",
              r"u = \tanh(\mathrm{BN}(W h + b)) \,/\, \lVert \cdot \rVert", "TwoTowers, tanh", towers(True)),
        Entry("NextItem, GRU", "GRU4Rec", gru, ("recbole/model/sequential_recommender/gru4rec.py", "class GRU4Rec(")),
        Entry("MatrixFactorisation", "BPR", factors("BPR"), (GENERAL.format("bpr"), "class BPR(")),
        Entry("LightGCN", "LightGCN", factors("LightGCN"), (GENERAL.format("lightgcn"), "class LightGCN("),
              precision="float32"),
        Value("LightGCN, loss with its penalty", "loss", "LightGCN(require_pow=True)", penalised(True),
              (GENERAL.format("lightgcn"), "reg_loss = self.reg_loss("), precision="float32"),
        Value("LightGCN, loss with its penalty", "loss", "LightGCN", penalised(False),
              (loss, "class EmbLoss( >> emb_loss += torch.norm"),
              "By default the penalty adds the norms themselves, not their squares as in the paper.",
              r"\frac{\lambda}{B} \big(\lVert U \rVert + \lVert I \rVert + \lVert J \rVert\big)",
              "the loss with norms that are not squared", unsquared, precision="float32"),
        Value("EASE", "model", "EASE", all_scores(EASE, "EASE", {"l2": 2.0}, reg_weight=2.0),
              (GENERAL.format("ease"), "class EASE("), precision="float32"),
        Value("ItemKNN", "model", "ItemKNN",
              all_scores(ItemKNN, "ItemKNN", {"neighbours": ITEMS, "shrink": 1.0}, k=ITEMS + 1, shrink=1.0),
              (GENERAL.format("itemknn"), "class ItemKNN("), precision="float32"),
        Value("Popularity", "model", "Pop", all_scores(Popularity, "Pop", {}), (GENERAL.format("pop"), "class Pop(")),
        Value("bpr", "loss", "BPRLoss", scores.losses(BPRLoss()), (loss, "class BPRLoss(")),
        Value("bpr, at a gap of -40 in float64", "loss", "BPRLoss", scores.gap(BPRLoss(), -40.0, torch.float64),
              (loss, "class BPRLoss( >> -torch.log(self.gamma"),
              "A constant is added before the logarithm, so the loss has an upper bound, and its gradient vanishes "
              "where the negative is far above the positive.",
              r"-\log(10^{-10} + \sigma(d)) \text{ in the place of } \mathrm{softplus}(-d)",
              "the loss with the constant", lambda: -math.log(1e-10 + 1 / (1 + math.exp(40.0)))),
        Value("auc", "metric", "AUC", area, (measured, "class AUC(")),
        Value("grouped_auc", "metric", "GAUC", gauc, (measured, "class GAUC( >> user_auc * pos_len_list"),
              "Users are weighed by their positives, as its documentation says; ours weighs them by their rows.",
              r"\sum_u n^+_u\, \mathrm{AUC}_u / \sum_u n^+_u", "grouped_auc weighed by positives", by_positives),
        Value("recall@5", "metric", "Recall", listed(metrics.Recall, "recall@5"), (measured, "class Recall("),
              precision="float32"),
        Value("ndcg@5", "metric", "NDCG", listed(metrics.NDCG, "ndcg@5"), (measured, "class NDCG("),
              precision="float32"),
    ]  # fmt: skip


if __name__ == "__main__":
    answer("recbole", entries)
