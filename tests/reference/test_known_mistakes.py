"""Mistakes that are known of other libraries, made in copies of our layers and models: the equations must see each."""

from functools import partial

import equations as eq
import equations_of_models as models
import pytest
import torch
from agree import agree
from structures import SIDES
from test_layer_equations import Function, by_row, graph_of, random
from test_metric_equations import by_user, clicks, normalized, pairs
from test_model_equations import CLICKS, FIELDS, ONE, PAIRS, check, few, inner
from torch import nn

from recsys_lite.evaluation import log_loss
from recsys_lite.evaluation.metrics import group_aucs
from recsys_lite.layers import CrossNet, CrossNetMix, CrossNetV2, EnsembleLayer, GatedCrossNet, InteractingLayer
from recsys_lite.layers.convolution import TextConvolution
from recsys_lite.layers.graph import BipartiteGraph
from recsys_lite.layers.recurrent import Recurrent
from recsys_lite.models import DLRM, FM, PAL, AutoInt, DeepFM, LightGCN, NeuMF, TwoTowers, WatchNext, WideDeep
from recsys_lite.training.retrieval_steps import bpr_loss


def changed(module, **methods):
    """A module in which some methods are others; they get the module first."""
    for name, method in methods.items():
        setattr(module, name, partial(method, module))
    return module


def refused(*arguments, **options):
    with pytest.raises(AssertionError):
        agree(*arguments, **options)


def refused_model(model, equation, fields=FIELDS, **options):
    with pytest.raises(AssertionError):
        check(model, equation, fields, **options)


# --- cross networks ---------------------------------------------------------------------------------------------------

SHARED_GATES = CrossNetMix.gates
CROSSES = {
    "DCN: bias inside of the product": (
        CrossNet, {}, eq.cross_dcn,
        lambda self, layer, x0, x: x0 * (x @ self.weight[layer].unsqueeze(1) + self.bias[layer]),
    ),
    "DCN: one w for all layers (PaddleRec#702)": (
        CrossNet, {}, eq.cross_dcn,
        lambda self, layer, x0, x: x0 * (x @ self.weight[0]).unsqueeze(1) + self.bias[layer],
    ),
    "DCN: x_l overwritten, so that the bias is added in the place of the residual (DeepCTR-Torch#151)": (
        CrossNet, {}, eq.cross_dcn,
        lambda self, layer, x0, x: x0 * (x @ self.weight[layer]).unsqueeze(1) + 2 * self.bias[layer] - x,
    ),
    "DCN: no residual (FuxiCTR#29)": (
        CrossNet, {}, eq.cross_dcn,
        lambda self, layer, x0, x: x0 * (x @ self.weight[layer]).unsqueeze(1) + self.bias[layer] - x,
    ),
    "DCN: x_l times the scale, not x_0": (
        CrossNet, {}, eq.cross_dcn,
        lambda self, layer, x0, x: x * (x @ self.weight[layer]).unsqueeze(1) + self.bias[layer],
    ),
    "DCN V2: bias outside of the product (torch-rechub)": (
        CrossNetV2, {}, eq.cross_v2, lambda self, layer, x0, x: x0 * self.product(layer, x) + self.bias[layer],
    ),
    "DCN V2: W transposed": (
        CrossNetV2, {}, eq.cross_v2, lambda self, layer, x0, x: x0 * (x @ self.weight[layer] + self.bias[layer]),
    ),
    "low rank: U first and V then": (
        CrossNetV2, {"rank": 2}, eq.cross_low_rank,
        lambda self, layer, x0, x: x0 * (x @ self.u[layer] @ self.v[layer].T + self.bias[layer]),
    ),
    "low rank: a bias in both maps": (
        CrossNetV2, {"rank": 2}, eq.cross_low_rank,
        lambda self, layer, x0, x: x0 * (self.product(layer, x + self.bias[layer]) + self.bias[layer]),
    ),
    "experts: gates shared by all layers (TorchRec, FuxiCTR, DeepCTR-Torch)": (
        CrossNetMix, {"rank": 2, "experts": 3}, eq.cross_mixture,
        lambda self, layer, x0, x: mixture(self, layer, x0, x, SHARED_GATES(self, 0, x)),
    ),
    "experts: gates that do not sum to 1": (
        CrossNetMix, {"rank": 2, "experts": 3}, eq.cross_mixture,
        lambda self, layer, x0, x: mixture(self, layer, x0, x, torch.sigmoid(x @ self.gate[layer].T)),
    ),
    "experts: gates of x_0": (
        CrossNetMix, {"rank": 2, "experts": 3}, eq.cross_mixture,
        lambda self, layer, x0, x: mixture(self, layer, x0, x, SHARED_GATES(self, layer, x0)),
    ),
    "GDCN: the gate is added (TFRS#716)": (
        GatedCrossNet, {}, eq.cross_gated,
        lambda self, layer, x0, x: CrossNetV2.added(self, layer, x0, x) + self.gate(layer, x),
    ),
    "GDCN: the gate sees c_0": (
        GatedCrossNet, {}, eq.cross_gated,
        lambda self, layer, x0, x: CrossNetV2.added(self, layer, x0, x) * self.gate(layer, x0),
    ),
    "GDCN: the residual is gated, too": (
        GatedCrossNet, {}, eq.cross_gated,
        lambda self, layer, x0, x: (CrossNetV2.added(self, layer, x0, x) + x) * self.gate(layer, x) - x,
    ),
}  # fmt: skip


def mixture(self, layer, x0, x, gates):
    """What experts add, with other gates."""
    h = torch.tanh(torch.einsum("bn,knr->bkr", x, self.v[layer]))
    h = torch.tanh(torch.einsum("bkr,kqr->bkq", h, self.c[layer]))
    each = torch.einsum("bkr,knr->bkn", h, self.u[layer]) + self.bias[layer]
    return x0 * (gates.unsqueeze(-1) * each).sum(1)


@pytest.mark.parametrize("mistake", CROSSES)
def test_cross_layers(mistake):
    kind, options, equation, added = CROSSES[mistake]
    agree(kind(5, 2, **options), by_row(equation), random(4, 5))
    refused(changed(kind(5, 2, **options), added=added), by_row(equation), random(4, 5))


def test_the_mixture_of_the_mistakes_is_ours_with_our_gates():
    right = changed(CrossNetMix(5, 2, 2, 3), added=lambda self, *a: mixture(self, *a, SHARED_GATES(self, a[0], a[2])))
    agree(right, by_row(eq.cross_mixture), random(4, 5))


def test_a_batch_of_one_that_is_squeezed():
    """``x_l.squeeze()`` (three libraries): a batch of one becomes a vector, and is added to a matrix or fails."""
    squeezed = changed(CrossNetV2(1, 1), product=lambda self, layer, x: (x @ self.weight[layer].T).squeeze())
    refused(squeezed, by_row(eq.cross_v2), random(3, 1))


# --- attention --------------------------------------------------------------------------------------------------------

ATTENTION = {
    "a scale, which the paper has not": ("paper", {"scale": 0.5}, None),
    "no residual (pytorch-fm#13)": ("paper", {}, lambda self, h, r: torch.relu(h.transpose(1, 2).flatten(2))),
    "no ReLU at the end": ("paper", {}, lambda self, h, r: h.transpose(1, 2).flatten(2) + r),
    "heads one after another in the place of side by side": (
        "paper", {}, lambda self, h, r: torch.relu(h.transpose(1, 2).transpose(2, 3).flatten(2) + r),
    ),
    "the norm before the ReLU (FuxiCTR)": (
        "code", {}, lambda self, h, r: torch.relu(self.norm(h.transpose(1, 2).flatten(2) + r)),
    ),
    "no scale (DeepCTR-Torch)": ("code", {"scale": 1.0}, None),
}  # fmt: skip


@pytest.mark.parametrize("mistake", ATTENTION)
def test_interacting_layers(mistake):
    variant, values, join = ATTENTION[mistake]
    layer = type("Mistaken", (InteractingLayer,), values)(4, units=3, heads=2, variant=variant)
    if join:
        changed(layer, _join=join)
    refused(layer, by_row(lambda p, e: eq.interacting(p, e, 2, variant == "code")), random(3, 5, 4))


def test_a_residual_once_after_the_stack():
    """pytorch-fm: the layers have none, and the embeddings are added once, behind them."""
    model = AutoInt(FIELDS, dim=4, layers=2, heads=2, units=2)
    for layer in model.layers:
        changed(layer, _join=lambda self, h, r: torch.relu(h.transpose(1, 2).flatten(2)))
    last = model.layers[-1]
    changed(last, forward=lambda self, e: InteractingLayer.forward(self, e) + e)
    refused_model(model, models.autoint, layers=2, heads=2, code=False)


# --- sums and products of pairs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mistake, function", [
    ("the half is missing", lambda e: (e.sum(1) ** 2 - (e**2).sum(1)).sum(1)),
    ("the pairs of each vector with itself", lambda e: 0.5 * (e.sum(1) ** 2).sum(1)),
    ("the names swapped, and the sign with them", lambda e: 0.5 * ((e**2).sum(1) - e.sum(1) ** 2).sum(1)),
])  # fmt: skip
def test_sums_of_pairs(mistake, function):
    refused(Function(function), by_row(lambda _, e: eq.pairs(list(e))), random(3, 4, 2))


def lower(t, offset):
    row, column = torch.tril_indices(t.shape[1], t.shape[1], offset)
    return (t @ t.mT)[:, row, column]


@pytest.mark.parametrize("mistake, function", [
    ("the diagonal too", lambda t: lower(t, 0)),
    ("both triangles", lambda t: (t @ t.mT).flatten(1)),
    ("the upper triangle, in another order", lambda t: (t @ t.mT)[(slice(None), *torch.triu_indices(4, 4, 1))]),
])  # fmt: skip
def test_dots(mistake, function):
    refused(Function(function), by_row(lambda _, t: eq.dots(list(t))), random(3, 4, 2))


def test_numbers_whose_x_is_left_out():
    """FM on x_i v_i needs x_i in the linear term and x_i² under the sum of squares."""
    model = FM(FIELDS, dim=3)
    for table in (model.weights, model.embedding):
        table._has_values = False
    refused_model(model, models.fm)


def test_a_bag_whose_padding_counts():
    model = FM(FIELDS, dim=3)
    index = model.embedding.active
    changed(model.embedding, active=lambda self, rows: (index(rows)[0], index(rows)[1].where(index(rows)[1] != 0, 0.2)))
    refused_model(model, models.fm)


def test_a_bag_that_is_summed():
    """DLRM's EmbeddingBag sums; in our models bags are means."""
    model = FM(FIELDS, dim=3)
    index = model.embedding.active
    changed(model.embedding, active=lambda self, rows: (index(rows)[0], index(rows)[1].sign().abs()))
    refused_model(model, models.fm)


# --- whole models -----------------------------------------------------------------------------------------------------


def test_wide_without_crosses():
    """Nearly all peers leave φ(x) out."""
    refused_model(
        WideDeep(FIELDS, [], **ONE), lambda p, *a: models.wide_deep(p | MADE_UP, *a, crosses=[("user", "item")])
    )


MADE_UP = {"crosses.weight": random(63).numpy()}


def test_deepfm_with_a_table_of_its_own_for_the_network():
    model = DeepFM(FIELDS, **ONE)
    model.other = type(model.embedding)(FIELDS, dim=3)

    def parts(self, rows, fine=False):
        deep = self.mlp(self.other(rows).flatten(1)).squeeze(-1)
        return {**self.linear_and_pairs(rows, self.embedding.expand(rows), fine), "deep": deep}

    refused_model(changed(model, parts=parts), models.deepfm)


def test_deepfm_that_counts_the_bias_twice_or_gives_a_chance():
    for change in (lambda model, z: z + model.bias, lambda model, z: torch.sigmoid(z)):
        forward = lambda self, rows, change=change: change(self, sum(self.parts(rows).values()))  # noqa: E731
        refused_model(changed(DeepFM(FIELDS, **ONE), forward=forward), models.deepfm)


def neumf_parts(last=lambda x: x, shared=False, fixed=False):
    def parts(self, rows, fine=False):
        pair = type(rows)(rows.ids[:, self.columns], rows.numeric[:, :0])
        gmf = self.gmf(pair).prod(1)
        out = self.mlp((self.gmf if shared else self.sides)(pair).flatten(1))
        h = torch.ones_like(self.h) if fixed else self.h
        return {"all": last(torch.cat([gmf, out], 1)) @ h}

    return parts


MISTAKES_OF_NEUMF = [{"last": torch.relu}, {"shared": True}, {"fixed": True}]


@pytest.mark.parametrize("mistake", MISTAKES_OF_NEUMF, ids=lambda m: next(iter(m)))
def test_neumf(mistake):
    build = lambda: NeuMF(FIELDS, dim=2, hidden=(4,), side=2)  # noqa: E731
    check(changed(build(), parts=neumf_parts()), models.ncf)
    refused_model(changed(build(), parts=neumf_parts(**mistake)), models.ncf)


@pytest.mark.parametrize("mistake, joined", [
    ("z is not in the top network's input", lambda z, dots: torch.cat([0 * z, dots], 1)),
    ("the dots come first (FuxiCTR)", lambda z, dots: torch.cat([dots, z], 1)),
])  # fmt: skip
def test_dlrm(mistake, joined):
    def parts(self, rows, fine=False):
        return {"top": self.top(joined(*self.interact(rows))).squeeze(-1)}

    refused_model(changed(DLRM(FIELDS, dim=3, bottom=(4,), top=(4,)), parts=parts), models.dlrm)


def test_dlrm_without_relu_after_the_last_layer_of_the_bottom():
    model = DLRM(FIELDS, dim=3, bottom=(4,), top=(4,))
    del model.bottom[-1]
    refused_model(model, models.dlrm)


@pytest.mark.parametrize("part", ["norm", "shortcut"])
def test_dhen_without_norm_or_shortcut(part):
    layer = EnsembleLayer(4, 3, ["linear"], out=4)
    if part == "norm":
        layer.norm.forward = lambda x: x
    else:
        layer.forward = lambda x: layer.norm(layer.interactions[0](x))
    refused(layer, by_row(lambda p, x: eq.ensemble(p, x, ["linear"])), random(2, 4, 3))


@pytest.mark.parametrize("mistake, side", [
    ("no unit length", lambda self, v: v),
    ("τ multiplied", lambda self, v: nn.functional.normalize(v, dim=1) * self.temperature),
    ("normalised over the batch", lambda self, v: nn.functional.normalize(v, dim=0)),
])  # fmt: skip
def test_cosine_of_towers(mistake, side):
    model = TwoTowers(FIELDS, **SIDES, **ONE, out=3, similarity="cosine", temperature=0.5)
    refused_model(changed(model, _side=side), models.two_towers, **SIDES, cosine=True, temperature=0.5)


def test_pal_with_a_sigmoid_of_a_sum():
    """That is Watch Next."""
    forward = lambda self, rows: self.served(rows) + self.tower(rows)  # noqa: E731
    refused_model(changed(PAL(CLICKS, FM(FIELDS, dim=3)), forward=forward), models.pal, CLICKS, inner=inner)


def test_a_tower_that_is_left_on_where_the_position_is_not_known():
    model = WatchNext(CLICKS, FM(FIELDS, dim=3))
    changed(model.tower, known=lambda self, rows: torch.ones(len(rows), dtype=torch.bool))
    assert (few(CLICKS).ids[:, 0] == 0).any()
    refused_model(model, models.watch_next, CLICKS, inner=inner)


# --- graphs, texts, histories -----------------------------------------------------------------------------------------


def spread_equation(alpha):
    return lambda p, users: models.lightgcn(p["table"], PAIRS, 4, 4, alpha)[users]


@pytest.mark.parametrize("mistake, alpha", [("the last layer only", [0, 0, 1]), ("sum instead of mean", [1, 1, 1])])
def test_lightgcn(mistake, alpha):
    model = LightGCN((torch.tensor(PAIRS), 4, 4), dim=3, layers=2)
    model.alpha, model.forward = alpha, model.scores
    refused(model, spread_equation([1 / 3] * 3), torch.arange(4))


@pytest.mark.parametrize("mistake", ["self loops", "rows that sum to 1", "double edges"])
def test_graphs(mistake):
    graph = BipartiteGraph(torch.tensor(PAIRS), 4, 4).double()
    dense, there = graph.dense(), (graph.dense() != 0).double()
    if mistake == "self loops":
        there += torch.eye(8)
        dense = there / (there.sum(1)[:, None] * there.sum(1)).sqrt()
    elif mistake == "rows that sum to 1":
        dense = there / there.sum(1, keepdim=True).clamp(min=1)
    else:
        there[0, 4] = there[4, 0] = 2  # user 0 has item 0 twice
        dense = (there / (there.sum(1)[:, None] * there.sum(1)).sqrt()).nan_to_num()
    alpha = [0.0, 1.0]
    equation = lambda p, x: spread(x)  # noqa: E731
    agree(graph_of(graph, alpha), equation, random(8, 2))
    refused(Function(lambda x: dense @ x), equation, random(8, 2))


def spread(x):
    """One hop of PAIRS, by the sums of the paper."""
    edges = {(u, 4 + i) for u, i in PAIRS}
    near = [[b if a == n else a for a, b in edges if n in (a, b)] for n in range(8)]
    zero = 0 * x[0]
    return eq.np.array([
        sum((x[o] / (len(near[n]) * len(near[o])) ** 0.5 for o in near[n]), zero) for n in range(8)
    ])  # fmt: skip


def test_windows_of_padding():
    """A bias above zero answers where there is no text, if windows of padding count."""
    layer = TextConvolution(2, channels=2, widths=(2,))
    changed(layer, forward=lambda self, x, present: torch.relu(self.convolutions[0](x.mT)).amax(2))

    def equation(p, x, there):
        weight, bias = p["convolutions.0.weight"], p["convolutions.0.bias"]
        return eq.np.array([eq.text_windows(weight, bias, list(r[t])) for r, t in zip(x, there, strict=True)])

    refused(layer, equation, random(2, 4, 2), torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]).bool())


@pytest.mark.parametrize("mistake", ["padding is read", "the latest first"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_histories(mistake, cell):
    def equation(p, x, lengths):
        return eq.np.array([eq.recurrent(p, list(row[:n]), cell) for row, n in zip(x, lengths, strict=True)])

    layer = Recurrent(2, 3, cell)
    if mistake == "padding is read":
        changed(layer, forward=lambda self, x, lengths: self.net(x)[0][:, -1])
    else:
        changed(layer, forward=lambda self, x, lengths: Recurrent.forward(self, x.flip(1), lengths))
    refused(layer, equation, random(2, 4, 2), torch.tensor([4, 2]))


# --- metrics and losses -----------------------------------------------------------------------------------------------


def weighed(y, p, g):
    table = group_aucs(y, p, g)
    return eq.np.average(table["auc"], weights=[y[g == user].sum() for user in table.index])


@pytest.mark.parametrize("mistake, metric, loop", [
    ("equal scores count nothing", lambda y, p, g: (p[y == 1][:, None] > p[y == 0]).mean(), pairs),
    ("equal scores count whole", lambda y, p, g: (p[y == 1][:, None] >= p[y == 0]).mean(), pairs),
    ("every user counts the same", lambda y, p, g: group_aucs(y, p, g)["auc"].mean(), by_user),
    ("users are weighed by their positives", weighed, by_user),
    ("the prior of training", lambda y, p, g: log_loss(y, p) / log_loss(y, 0 * p + 0.3), normalized),
    ("bits by nats", lambda y, p, g: log_loss(y, p) / (log_loss(y, 0 * p + y.mean()) / eq.np.log(2)), normalized),
])  # fmt: skip
def test_metrics(mistake, metric, loop):
    for seed in range(4):
        y, p, g = clicks(seed)
        assert abs(metric(y, p, g) - loop(y, p, g)) > 1e-4


def test_a_penalty_on_the_spread_vectors():
    model = LightGCN((torch.tensor(PAIRS), 4, 4), dim=3, layers=1)
    triples = torch.tensor([0, 2]), torch.tensor([0, 3]), torch.tensor([3, 0])
    right = bpr_loss(model, *triples, decay=1.0).item()
    model.penalise = "end"
    assert abs(bpr_loss(model, *triples, decay=1.0).item() - right) > 1e-4
