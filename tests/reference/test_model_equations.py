"""Every model against its equation in NumPy: logits and scores to 1e-12, and the gradient."""

from functools import partial

import equations as eq
import equations_of_models as models
import numpy as np
import pytest
import torch
from agree import agree
from small import of_pairs, small
from structures import SIDES
from tiny import FIELDS, rows

from recsys_lite.fields import Field, Vocabulary
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import (
    DCN,
    DCNV2,
    DHEN,
    DLRM,
    EASE,
    FM,
    GDCN,
    NGCF,
    PAL,
    AutoInt,
    DeepFM,
    FieldMLP,
    ItemKNN,
    LightGCN,
    LogisticRegression,
    MatrixFactorisation,
    NeuMF,
    NextItem,
    Popularity,
    SplitNetwork,
    TextCNN,
    TwoTowers,
    WatchNext,
    WideDeep,
)

NO_NUMBERS = [f for f in FIELDS if f.kind != "numeric"]
CROSSES = [("user", "item"), ("genres", "history"), ("user", "item", "genres")]
SIZES = {"user": 3, "item": 2, "genres": 4, "history": 2}
ONE = {"dim": 3, "hidden": (4,)}
CLICKS = (
    Field("position", "categorical", Vocabulary(range(3))),
    *FIELDS,
    Field("device", "categorical", Vocabulary(["a", "b"])),
)


def few(fields=FIELDS):
    """Eight examples: unseen values, a bag without values and whole ones among them."""
    made = rows(8, seed=4)
    made.ids[0] = 0
    made.bags["genres"][1:3] = torch.tensor([[-1, -1, -1], [1, 2, 3]])
    made.bags["history"][2:4] = torch.tensor([[-1, -1, -1, -1], [2, 2, 5, 1]])
    if fields is CLICKS:
        ends = torch.randint(0, 3, (2, 8, 1), generator=torch.Generator().manual_seed(0)).int()
        made.ids = torch.cat([ends[0], made.ids, ends[1]], 1)
    return made if any(f.kind == "numeric" for f in fields) else type(made)(made.ids, made.numeric[:, :0], made.bags)


def check(model, equation, fields=FIELDS, **options):
    agree(model, models.by_example(lambda p, x, b: equation(p, fields, x, b, **options)), few(fields))


def cross_models():
    for structure in ("parallel", "stacked", "cross"):
        small = {**ONE, "structure": structure, "cross_layers": 2}
        for name, options, cross in [
            ("full", {}, eq.cross_v2),
            ("low rank", {"rank": 2}, eq.cross_low_rank),
            ("experts", {"rank": 2, "experts": 3}, eq.cross_mixture),
        ]:
            yield pytest.param(DCNV2(FIELDS, **small, **options), cross, structure, id=f"DCN V2 {name} {structure}")
        yield pytest.param(GDCN(FIELDS, **small), eq.cross_gated, structure, id=f"GDCN {structure}")
    yield pytest.param(DCN(FIELDS, **ONE), eq.cross_dcn, "parallel", id="DCN")
    yield pytest.param(DCN(FIELDS, dim=3, hidden=()), eq.cross_dcn, "cross", id="DCN without a network")


SIMPLE = [
    (LogisticRegression(FIELDS), models.logistic_regression),
    (FM(FIELDS, dim=3), models.fm),
    (DeepFM(FIELDS, **ONE), models.deepfm),
    (FieldMLP(FIELDS, **ONE), models.field_mlp),
    (FieldMLP(FIELDS, dim=3, hidden=()), models.field_mlp),
    (NeuMF(FIELDS, dim=3, hidden=(4, 2), side=2), models.ncf),
    (NeuMF(FIELDS, dim=3, hidden=(), side=2), models.ncf),
    (NeuMF(FIELDS, hidden=(4,), side=2, use_gmf=False, output_bias=True), models.ncf),
    (NeuMF(FIELDS, hidden=(), side=2, use_gmf=False), models.ncf),
    (DLRM(FIELDS, dim=3, bottom=(4,), top=(5,)), models.dlrm),
]


@pytest.mark.parametrize("model, equation", SIMPLE, ids=lambda x: type(x).__name__ if hasattr(x, "parts") else "")
def test_models(model, equation):
    check(model, equation)


def test_wide_and_deep():
    check(WideDeep(FIELDS, CROSSES, **ONE), models.wide_deep, crosses=CROSSES)


def test_dlrm_without_numbers():
    check(DLRM(NO_NUMBERS, dim=3, top=(4,)), models.dlrm, NO_NUMBERS)


@pytest.mark.parametrize("model, cross, structure", list(cross_models()))
def test_cross_models(model, cross, structure):
    check(model, models.cross_model, cross=cross, structure=structure)


@pytest.mark.parametrize("kind, cross", [(DCNV2, eq.cross_v2), (GDCN, eq.cross_gated)])
def test_cross_models_with_a_size_for_each_field(kind, cross):
    model = kind(FIELDS, dim=SIZES, hidden=(4,), structure="parallel")
    check(model, models.cross_model, cross=cross, structure="parallel", sizes=SIZES)


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize("hidden", [(), (4,)])
def test_autoint(variant, hidden):
    model = AutoInt(FIELDS, dim=3, layers=2, heads=2, units=4, hidden=hidden, variant=variant)
    check(model, models.autoint, layers=2, heads=2, code=variant == "code")


@pytest.mark.parametrize("modules", [[name] for name in MODULES] + [["dot", "linear"], list(MODULES)], ids="+".join)
@pytest.mark.parametrize("join", ["concat", "sum"])
def test_dhen(modules, join):
    model = DHEN(FIELDS, dim=3, modules=modules, layers=2, out=2, join=join, bottom=(2,))
    check(model, models.dhen, layers=2, modules=modules)


@pytest.mark.parametrize("similarity, temperature", [("dot", 1.0), ("dot", 0.5), ("cosine", 0.1)])
def test_two_towers(similarity, temperature):
    model = TwoTowers(FIELDS, **SIDES, **ONE, out=3, similarity=similarity, temperature=temperature)
    check(model, models.two_towers, **SIDES, cosine=similarity == "cosine", temperature=temperature)


@pytest.mark.parametrize("product", [True, False])
def test_split_network(product):
    model = SplitNetwork(FIELDS, head=(3,), product=product, **SIDES, **ONE, out=2)
    check(model, models.split_network, **SIDES, multiplied=product)


def inner(p, x, b):
    """The factorization machine inside of PAL and Watch Next, which reads neither the first column nor the last."""
    return models.fm(p, FIELDS, type(x)(x.ids[:, 1:3], x.numeric, x.bags), b)


def test_pal():
    check(PAL(CLICKS, FM(FIELDS, dim=3)), models.pal, CLICKS, inner=inner)


def test_watch_next():
    check(WatchNext(CLICKS, FM(FIELDS, dim=3)), models.watch_next, CLICKS, inner=inner)


def test_text_cnn():
    check(TextCNN(FIELDS, "history", **ONE, width=3, channels=2), models.text_cnn, text="history")


@pytest.mark.parametrize("reader", ["lstm", "gru", "mean"])
def test_next_item(reader):
    model = NextItem(small(), dim=3, reader=reader, hidden=0 if reader == "mean" else 4)
    model.forward = model.scores_of
    agree(model, partial(models.next_item, reader=reader), torch.tensor([[3, 1, 1], [2, -1, -1], [-1, -1, -1]]))


PAIRS = [[0, 0], [0, 1], [1, 1], [2, 1], [2, 3], [0, 0]]  # user 3 and item 2 have none


@pytest.mark.parametrize("combine, alpha", [("mean", [1 / 3] * 3), ("last", [0, 0, 1]), ("sum", [1, 1, 1])])
def test_lightgcn(combine, alpha):
    model = LightGCN((torch.tensor(PAIRS), 4, 4), dim=3, layers=2, combine=combine)
    everything = lambda p, users: models.lightgcn(p["table"], PAIRS, 4, 4, alpha)[users]  # noqa: E731
    model.forward = model.scores
    agree(model, everything, torch.arange(4))
    users, items = torch.tensor([0, 3, 2]), torch.tensor([1, 0, 2])
    pairs = LightGCN.forward(model, users, items).detach().numpy()
    np.testing.assert_allclose(pairs, everything({"table": model.table.detach().numpy()}, users)[range(3), items])


@pytest.mark.parametrize("combine", ["concat", "sum"])
@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("nonlinear", [True, False])
def test_ngcf(combine, weights, nonlinear):
    options = {"layers": 2, "weights": weights, "nonlinear": nonlinear, "combine": combine}
    model = NGCF((torch.tensor(PAIRS), 4, 4), dim=3, **options)
    model.forward = model.scores
    agree(model, lambda p, users: models.ngcf(p, PAIRS, 4, 4, **options)[users], torch.arange(4))


def test_matrix_factorisation():
    """Koren et al., 2009, eq. 1 without biases: q_iᵀ p_u."""
    model = MatrixFactorisation((torch.tensor(PAIRS), 4, 4), dim=3)
    model.forward = model.scores
    agree(model, lambda p, users: p["table"][users] @ p["table"][4:].T, torch.arange(4))


def retrieval():
    return of_pairs(PAIRS, [[3, 0]], [[3, 1]], users=4, items=4)


def test_popularity():
    assert Popularity(retrieval()).scores(torch.arange(2)).tolist() == [[2, 3, 0, 1]] * 2


#: no two similarities of an item are equal, so its nearest neighbours are determined
TAKERS = {0: (0, 1), 1: (0, 1, 2, 3, 6), 2: (0, 2, 4), 3: (3, 4, 5, 6)}  # of each item
UNTIED = [(user, item) for item, users in TAKERS.items() for user in users]


@pytest.mark.parametrize("shrink", [0.0, 2.5])
@pytest.mark.parametrize("neighbours", [1, 2, 9])
def test_item_neighbours(shrink, neighbours):
    """Sarwar et al., WWW 2001, section 3.1.1, the cosine of columns; its nearest items for each item."""
    X = np.zeros((8, 5))  # item 4 and user 7 have nothing
    X[tuple(np.array(UNTIED).T)] = 1
    B = np.zeros((5, 5))
    for i in range(5):
        similarity = np.array([
            0.0 if h == i else X[:, h] @ X[:, i] / max(np.linalg.norm(X[:, h]) * np.linalg.norm(X[:, i]) + shrink, 1e-9)
            for h in range(5)
        ])  # fmt: skip
        positive = similarity[similarity > 0]
        assert len(set(positive.round(6))) == len(positive)
        for h in sorted(range(5), key=lambda h: -similarity[h])[:neighbours]:
            B[h, i] = similarity[h]
    data = of_pairs(UNTIED, [[3, 0]], [[3, 2]], users=8, items=5)
    np.testing.assert_allclose(ItemKNN(data, neighbours, shrink).scores(torch.arange(8)).numpy(), X @ B, rtol=1e-6)


def test_ease():
    """Steck, WWW 2019, eqs. 1 to 4: of each column the ridge regression on all others, one after another."""
    X = np.zeros((4, 4))
    X[tuple(np.array(PAIRS).T)] = 1
    B = np.zeros((4, 4))
    for i in range(4):
        others = [h for h in range(4) if h != i]
        A = X[:, others]
        B[others, i] = np.linalg.solve(A.T @ A + 0.7 * np.eye(3), A.T @ X[:, i])
    np.testing.assert_allclose(EASE(retrieval(), l2=0.7).scores(torch.arange(4)).numpy(), X @ B, rtol=1e-6, atol=1e-7)
