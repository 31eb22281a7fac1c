"""torch-rechub beside ours. Its networks always have batch norm, so ours get it, too; its models give chances."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_rechub.basic import layers as parts
from torch_rechub.basic import metric
from torch_rechub.basic.features import SparseFeature
from torch_rechub.basic.loss_func import BPRLoss, InBatchNCELoss
from torch_rechub.models.matching import DSSM
from torch_rechub.models.ranking import DCN, AutoInt, DCNv2, DeepFM, WideDeep

from recsys_lite.fields import Rows
from recsys_lite.training.losses import in_batch_softmax

from . import scores
from .cases import DIM, HIDDEN, PLAIN, SIZES, WIDTH, numbers
from .entry import Entry, Value, answer
from .experts import one_row, start
from .links import FAN, FAN_FORMULA, GATES, GATES_FORMULA, SQUEEZED, mixture, normed, tables
from .measure import Case, Link, Peer

LAYERS, RANKING = "torch_rechub/basic/layers.py", "torch_rechub/models/ranking/{}.py"
LINEAR = 0.3  # every weight of the linear parts, where ours and theirs read other things
LINEAR_WHY = (
    "The linear part is a layer that reads the embeddings, so a feature has no weight of its own: its linear effect "
    "and its vector cannot be learned apart."
)
BIAS = "The bias stands outside of the product with x₀."
BIAS_FORMULA = r"x_{l+1} = x_0 \odot W_l x_l + b_l + x_l"


def features(names: Any = tuple(SIZES)) -> list[Any]:
    """New features each time: their tables are kept in them."""
    return [SparseFeature(n, vocab_size=SIZES[n], embed_dim=DIM) for n in names]


def call(model: nn.Module, rows: Rows) -> Tensor:
    """Logits of the chances that their models give."""
    return torch.logit(model({f.name: rows.ids[:, k] for k, f in enumerate(PLAIN)}))


def vectors(embedding: Any, name: str = "embedding.table.weight", fields: Any = tuple(SIZES)) -> list[Link]:
    return tables(name, [embedding.embed_dict[n].weight for n in fields])


def network(dims: Any = HIDDEN) -> dict[str, Any]:
    return {"dims": list(dims), "activation": "relu", "dropout": 0}


def crossing(prefix: str, net: Any) -> list[Link]:
    """Both kinds of cross network: linear layers and biases."""
    view = (lambda p: p.squeeze(0)) if net.w[0].weight.shape[0] == 1 else (lambda p: p)
    return [
        link for k in range(net.num_layers) for link in (
            Link(f"{prefix}weight", net.w[k].weight, lambda t, k=k: t[k], view),
            Link(f"{prefix}bias", net.b[k], lambda t, k=k: t[k]),
        )
    ]  # fmt: skip


def cross(kind: Any) -> Any:
    def build(case: Case) -> Peer:
        theirs = kind(WIDTH, 3).double()
        return Peer(theirs, crossing("", theirs))

    return build


def mix(layers: int) -> Any:
    def build(case: Case) -> Peer:
        theirs = parts.CrossNetMix(WIDTH, layers, 2, 3).double()
        return Peer(theirs, mixture("", theirs.u_list, theirs.v_list, theirs.c_list, theirs.gating, theirs.bias))

    return build


def attending(prefix: str, layer: Any) -> list[Link]:
    names = {"query": "W_Q", "key": "W_K", "value": "W_V", "residual": "W_Res"}
    return [Link(f"{prefix}{a}.weight", getattr(layer, b).weight) for a, b in names.items()]


def attention(case: Case) -> Peer:
    theirs = parts.InteractingLayer(DIM, 2).double()
    return Peer(theirs, attending("", theirs))


def mlp(case: Case) -> Peer:
    theirs = parts.MLP(WIDTH, dims=list(HIDDEN)).double()
    return Peer(theirs, normed("", theirs))


def fm(case: Case) -> Peer:
    return Peer(parts.FM().double(), [], lambda m, x: m(x).squeeze(1))


def crossed(make: Any, net: str, deep: str) -> Any:
    def build(case: Case) -> Peer:
        theirs = make().double()
        links = vectors(theirs.embedding, "input.embedding.table.weight") + crossing("cross.", getattr(theirs, net))
        links += normed("mlp.", getattr(theirs, deep))
        links += [Link("combine.weight", theirs.linear.fc.weight), Link("combine.bias", theirs.linear.fc.bias)]
        return Peer(theirs, links, call)

    return build


def linear_apart(kind: Any) -> Any:
    """Wide & Deep and DeepFM: their linear part and ours read other things, so both are held."""

    def build(case: Case) -> Peer:
        theirs = kind().double()
        last = f"mlp.{3 * len(HIDDEN)}.bias"
        links = [
            k for k in normed("mlp.", theirs.mlp) if k.name != last or last in dict(case.module.named_parameters())
        ]
        links += [*vectors(theirs.embedding), Link("bias", theirs.linear.fc.bias, lambda p: p.view(1))]
        held = {"linear.fc.weight": LINEAR}
        if last not in {k.name for k in links}:
            held[f"mlp.{theirs_last()}.bias"] = 0.0
        return Peer(theirs, links, call, held, {"weights.table.weight": LINEAR})

    return build


def theirs_last() -> str:
    """The last linear layer of their network: four modules for each hidden layer lie before it."""
    return f"mlp.{4 * len(HIDDEN)}"


def linear_on_vectors(kind: Any) -> Any:
    def build(case: Case) -> Peer:
        theirs = kind().double()
        links = [k for k in normed("mlp.", theirs.mlp) if k.name != f"mlp.{3 * len(HIDDEN)}.bias"]
        links += [*vectors(theirs.embedding), Link("linear.weight", theirs.linear.fc.weight),
                  Link("linear.bias", theirs.linear.fc.bias)]  # fmt: skip
        return Peer(theirs, links, call, {f"mlp.{theirs_last()}.bias": 0.0})

    return build


def wide() -> Any:
    return (lambda f: WideDeep(f, f, network()))(features())


def deepfm() -> Any:
    return (lambda f: DeepFM(f, f, network()))(features())


def autoint(by_rule: bool) -> Any:
    def build(case: Case) -> Peer:
        theirs = AutoInt(features(), [], num_layers=2, num_heads=2, mlp_params=network()).double()
        links = vectors(theirs.sparse_embedding) + [
            link for k, layer in enumerate(theirs.interacting_layers) for link in attending(f"layers.{k}.", layer)
        ]
        links += [k for k in normed("mlp.", theirs.mlp) if k.name != f"mlp.{3 * len(HIDDEN)}.bias"]
        links += [Link("combine.weight", theirs.attn_linear.weight), Link("combine.bias", theirs.attn_linear.bias)]
        held = {f"mlp.{theirs_last()}.bias": 0.0, "linear.fc.bias": 0.0}
        if by_rule:
            links.append(Link("linear.weight", theirs.linear.fc.weight))
        else:
            held["linear.fc.weight"] = 0.0
        return Peer(theirs, links, call, held)

    return build


def towers(by_rule: bool) -> Any:
    def build(case: Case) -> Peer:
        theirs = DSSM(features(["user", "genre"]), features(["item"]), network((5, 3)), network((5, 3))).double()
        links = [
            *vectors(theirs.embedding, "query_tower.embedding.table.weight", ["user", "genre"]),
            *vectors(theirs.embedding, "candidate_tower.embedding.table.weight", ["item"]),
        ]
        held = {}
        for side, net in (("query", "user_mlp"), ("candidate", "item_mlp")):
            links += normed(f"{side}_tower.mlp.", getattr(theirs, net))[: None if by_rule else 6]
            if not by_rule:  # ours ends with a linear layer
                held |= {f"{net}.mlp.5.weight": 1.0, f"{net}.mlp.5.bias": 0.0}
        return Peer(theirs, links, call, held, {"bias": 0.0})

    return build


def softmax() -> tuple[float, float]:
    u, v = numbers(8, DIM, seed=3), numbers(8, DIM, seed=4)
    items = torch.arange(8)
    theirs = InBatchNCELoss(temperature=0.5, ignore_index=-1)  # by default rows of item 0 do not count
    return in_batch_softmax(u @ v.T, items, temperature=0.5).item(), theirs(u, v, items).item()


def gauc() -> tuple[float, float]:
    y, p, g = scores.clicks()
    return scores.OURS["grouped_auc"](), metric.gauc_score(y, p, g)


def listed(name: str, ours: str) -> Any:
    def pair() -> tuple[float, float]:
        wanted, lists = scores.lists()
        found = metric.topk_metrics(wanted, lists, [scores.K])[name][0]
        return scores.OURS[ours](), float(found.partition(": ")[2])

    return pair


def entries() -> list[Entry | Value]:
    metrics, loss = "torch_rechub/basic/metric.py", "torch_rechub/basic/loss_func.py"
    dcn = crossed(lambda: DCN(features(), 3, network()), "cn", "mlp")
    dcn2 = crossed(lambda: DCNv2(features(), 2, network(), use_low_rank_mixture=False), "crossnet", "parallel_dnn")
    return [
        Entry("CrossNet", "CrossNetwork", cross(parts.CrossNetwork), (LAYERS, "class CrossNetwork(")),
        Entry("CrossNetV2", "CrossNetV2", cross(parts.CrossNetV2),
              (LAYERS, "class CrossNetV2( >> x = x0 * self.w[i](x)"), BIAS, BIAS_FORMULA, "CrossNetV2, bias outside"),
        Entry("CrossNetMix, one layer", "CrossNetMix(num_layers=1)", mix(1), (LAYERS, "class CrossNetMix(")),
        Entry("CrossNetMix", "CrossNetMix", mix(3), (LAYERS, "class CrossNetMix( >> self.gating[expert_id]"), GATES,
              GATES_FORMULA, "CrossNetMix, gates shared"),
        Entry("fm_interaction", "FM", fm, (LAYERS, "class FM(")),
        Entry("InteractingLayer", "InteractingLayer", attention, (LAYERS, "class InteractingLayer( >> * self.scale"),
              "Scores are divided by √d', as in the authors' code; the paper's equation has no scale.",
              r"\mathrm{softmax}(\langle q, k \rangle / \sqrt{d'})", "InteractingLayer, scaled"),
        Entry("MLP, batch norm", "MLP", mlp, (LAYERS, "class MLP(")),
        Entry("WideDeep, no crosses, batch norm", "WideDeep", linear_apart(wide),
              (RANKING.format("widedeep"), "self.linear = LR("), LINEAR_WHY,
              r"z = w^\top [e_1, \dots, e_F] + \mathrm{MLP}(e) + b",
              "WideDeep, linear on vectors", linear_on_vectors(wide)),
        Entry("DeepFM, batch norm", "DeepFM", linear_apart(deepfm), (RANKING.format("deepfm"), "self.linear = LR("),
              LINEAR_WHY, r"z = w^\top [e_1, \dots, e_F] + \sum_{i<j} \langle e_i, e_j \rangle + \mathrm{MLP}(e) + b",
              "DeepFM, linear on vectors", linear_on_vectors(deepfm)),
        Entry("DCN, batch norm", "DCN", dcn, (RANKING.format("dcn"), "class DCN(")),
        Entry("DCNV2, parallel, batch norm", "DCNv2(use_low_rank_mixture=False)", dcn2,
              (LAYERS, "class CrossNetV2( >> x = x0 * self.w[i](x)"), BIAS, BIAS_FORMULA, "DCNV2, bias outside"),
        Entry("AutoInt+, batch norm", "AutoInt", autoint(False), (RANKING.format("autoint"), "self.linear = LR("),
              "Scores are divided by √d', and a linear layer reads the embeddings beside the attention. (For the first "
              "comparison its weights are held at 0.)",
              r"z = \sum_m w_m^\top e_m^{(L)} + v^\top [e_1, \dots, e_F] + \mathrm{MLP}(e) + b", "AutoInt, scaled",
              autoint(True)),
        Entry("TwoTowers, batch norm", "DSSM", towers(False),
              ("torch_rechub/models/matching/dssm.py", "self.user_mlp = MLP("),
              "The last layer of each tower has batch norm and a ReLU, too, so after the batch norm no entry of a "
              "vector is negative and no cosine below 0.",
              r"u = \mathrm{ReLU}(\mathrm{BN}(W h + b)) \,/\, \lVert \cdot \rVert",
              "TwoTowers, ReLU at the end", towers(True)),
        Value("CrossNetMix, shape for one row", "layer", "CrossNetMix",
              one_row(lambda: parts.CrossNetMix(WIDTH, 2, 2, 3)),
              (LAYERS, "class CrossNetMix( >> x_l.squeeze()"), SQUEEZED, r"x_l.\mathrm{squeeze}()"),
        Value("CrossNetMix, sd of U at the start", "layer", "CrossNetMix",
              start(lambda: parts.CrossNetMix(64, 4, 8, 4), "u_list"),
              (LAYERS, "class CrossNetMix( >> xavier_normal_"), FAN, FAN_FORMULA),
        Value("bpr", "loss", "BPRLoss", scores.losses(BPRLoss()), (loss, "class BPRLoss(")),
        Value("in_batch_softmax, no correction", "loss", "InBatchNCELoss(ignore_index=-1)", softmax,
              (loss, "class InBatchNCELoss(")),
        Value("bpr, at a gap of -110 in float32", "loss", "BPRLoss", scores.gap(BPRLoss(), -110.0, torch.float32),
              (loss, "class BPRLoss( >> diff.sigmoid().log()"),
              "The logarithm is taken after the sigmoid, which has become 0 by then.",
              r"-\log(\sigma(d)) \text{ in the place of } \mathrm{softplus}(-d)"),
        Value("grouped_auc", "metric", "gauc_score", gauc, (metrics, "def gauc_score(")),
        Value("recall@5", "metric", "topk_metrics", listed("Recall", "recall@5"), (metrics, "def topk_metrics("),
              precision="four decimals"),
        Value("ndcg@5", "metric", "topk_metrics", listed("NDCG", "ndcg@5"), (metrics, "def topk_metrics("),
              precision="four decimals"),
    ]  # fmt: skip


if __name__ == "__main__":
    answer("torch_rechub", entries)
