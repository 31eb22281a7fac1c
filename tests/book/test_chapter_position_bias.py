"""The chapter's own code: loops, log space and closed form agree with each other and the library; its guards bite."""

import pytest
import torch
from notebook_code import definitions, read_back
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from recsys_lite.data.simulated.clicks import POSITION, simulate
from recsys_lite.evaluation import compare_runs
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, PAL, WatchNext
from recsys_lite.models.position import product_logit
from recsys_lite.notebook import told
from recsys_lite.store import RESULTS, read_json

chapter = definitions("book/position_bias.ipynb")
PAIR = (Field("user", "categorical", Vocabulary(range(4))), Field("item", "categorical", Vocabulary(range(5))))
FIELDS = (*PAIR, POSITION)
IDS = torch.cartesian_prod(torch.arange(4), torch.arange(5), torch.arange(11))
ROWS = Rows((IDS + torch.tensor([1, 1, 0])).int(), torch.zeros(len(IDS), 0))


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 3, 2), (50, 10, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_loops_log_space_and_closed_form_agree_in_value_and_gradient(shape, seed):
    torch.manual_seed(seed)
    count, places, dim = shape
    taste = chapter.Taste(4, 5, dim)
    user, item, place = (torch.randint(a, b, (count,)) for a, b in ((0, 4), (0, 5), (1, places + 1)))
    y = torch.randint(0, 2, (count,)).double()
    pal, watch = (kind(taste, places).double() for kind in (chapter.ScratchPAL, chapter.ScratchWatchNext))
    watch.eval()
    z = taste(user, item)
    never = torch.zeros(count, dtype=torch.bool)
    by_model = {
        pal: [
            chapter.pal_loss_loops(z, pal.b, place.tolist(), y),
            chapter.pal_loss_fast(z, pal.b, place, y),
            bce(pal(user, item, place), y),
        ],
        watch: [
            chapter.watch_next_loss_loops(z, watch.s, place.tolist(), y, never.tolist()),
            chapter.watch_next_loss_fast(z, watch.s, place, y, never),
            bce(watch(user, item, place), y),
        ],
    }
    for model, losses in by_model.items():
        grads = [torch.autograd.grad(loss, list(model.parameters()), retain_graph=True) for loss in losses]
        for loss, grad in zip(losses[1:], grads[1:], strict=True):
            assert_close(loss, losses[0])
            assert_close(grad, grads[0])


def test_dropped_rows_have_no_place_in_loops_and_vectors():
    torch.manual_seed(0)
    z, s = torch.randn(8), torch.randn(4)
    place, dropped, y = torch.randint(0, 4, (8,)), torch.arange(8) % 3 == 0, (torch.arange(8) % 2).float()
    loops = chapter.watch_next_loss_loops(z, s, place.tolist(), y, dropped.tolist())
    assert_close(loops, chapter.watch_next_loss_fast(z, s, place, y, dropped))
    assert not torch.allclose(loops, chapter.watch_next_loss_fast(z, s, place, y, torch.zeros(8, dtype=torch.bool)))


@pytest.mark.parametrize("kind", ["pal", "watch_next"])
def test_the_modules_with_copied_weights_are_the_librarys_models(kind):
    torch.manual_seed(1)
    taste = chapter.Taste(4, 5, 3)
    scratch = (chapter.ScratchPAL if kind == "pal" else chapter.ScratchWatchNext)(taste, 10).eval()
    library = (PAL if kind == "pal" else WatchNext)(FIELDS, FM(PAIR, dim=3), bias=("position",)).eval()
    inner, own = library.served.inner, scratch.b if kind == "pal" else scratch.s
    with torch.no_grad():
        inner.embedding.table.weight.copy_(torch.cat([torch.zeros(1, 3), taste.P, torch.zeros(1, 3), taste.Q]))
        inner.weights.table.weight.copy_(torch.cat([torch.zeros(6), taste.w])[:, None])
        library.tower.weight.copy_(own)
    mine, theirs = scratch(*IDS.T), library(ROWS)
    assert_close(mine, theirs)
    mine.square().sum().backward()
    theirs.square().sum().backward()
    assert_close(library.tower.weight.grad[1:], own.grad[1:], rtol=1e-4, atol=1e-4)
    assert_close(inner.embedding.table.weight.grad[1:5], taste.P.grad, rtol=1e-4, atol=1e-4)
    assert_close(library.served(ROWS), taste(*IDS[:, :2].T))


def test_scratch_watch_next_drops_in_training_only():
    torch.manual_seed(0)
    model = chapter.ScratchWatchNext(chapter.Taste(4, 5, 2), 10, dropout=0.4)
    user, item, place = torch.zeros(5000, dtype=torch.long), torch.zeros(5000, dtype=torch.long), torch.full((5000,), 3)
    alone = model.taste(user, item)
    assert (model.train()(user, item, place) == alone).float().mean().item() == pytest.approx(0.4, abs=0.03)
    assert (model.eval()(user, item, place) != alone).all()


def test_each_guard_passes_right_code_and_catches_wrong_code():
    torch.manual_seed(0)
    pal = PAL(FIELDS, FM(PAIR, dim=3))
    with torch.no_grad():
        for p in pal.parameters():
            p.normal_()
    known = ROWS[IDS[:, 2] > 0]
    assert chapter.is_product(pal, known)
    assert not chapter.is_product(chapter.Slip(pal, torch.add), known)
    assert not chapter.is_product(chapter.Slip(pal, torch.mul), known)
    assert chapter.serves_without_place(pal.served, known, FIELDS)
    assert not chapter.serves_without_place(pal, known, FIELDS)
    assert (
        chapter.survives(chapter.closed_form)
        and chapter.survives(chapter.log_space)
        and not chapter.survives(chapter.plain_loss)
    )


@pytest.fixture
def made():
    """The chapter's planted logs, with the constants that their cells have."""
    join = {"naive": lambda z, t: z, "PAL": product_logit, "Watch Next": torch.add}
    liked, old = torch.linspace(0.9, 0.1, 9).double(), torch.tensor([4, 1, 7, 0, 5, 2, 8, 3, 6])
    seen = 1 / torch.arange(1, 11).double()
    chapter.planted.__globals__.update(JOIN=join, LIKED=liked, OLD=old, SEEN=seen)
    return chapter


@pytest.mark.parametrize("kind", ["product", "sum", "no bias", "trust", "confounded"])
def test_planted_logs_are_of_their_kind(made, kind):
    shown, clicked = made.planted(kind, 0)
    again = made.planted(kind, 0)
    assert (again[0] == shown).all() and (again[1] == clicked).all() and shown.sum() == 40_000
    assert (made.planted(kind, 1)[1] != clicked).any() and (clicked <= shown).all()
    assert ((shown > 0).sum(1) >= 4).all()  # items move, so that items and positions can be told apart
    chances = made.chances(kind)
    rate, expected = (clicked / shown)[shown > 2000], chances.mean(0)[shown > 2000]
    if kind != "confounded":
        assert_close(rate, expected, atol=0.04, rtol=0)
        assert (chances[0] == chances[1]).all()
    else:
        assert_close(chances[1], 0.3 * chances[0])
    assert (made.planted("fixed", 0)[0] > 0).sum(1).tolist() == [1] * 9


@pytest.mark.parametrize(("kind", "name"), [("product", "PAL"), ("sum", "Watch Next"), ("no bias", "PAL")])
def test_a_model_of_the_log_s_own_form_finds_order_and_curve(made, kind, name):
    wrong, curve, slope = made.judged(kind, name, 7)
    assert wrong <= 1 and curve < 0.1 and slope < 1e-3


def test_measures_do_not_see_the_free_constant_and_a_confounder_bends_both(made):
    z, p, _ = made.fitted("PAL", *made.planted("product", 3))
    other, q, _ = made.fitted("PAL", *made.planted("product", 3), start=-0.3)
    assert_close(z.argsort(), other.argsort())
    assert_close(p.mean(0) / p.mean(0)[0], q.mean(0) / q.mean(0)[0], rtol=2e-3, atol=1e-3)
    assert made.judged("confounded", "PAL", 7)[1] > 3 * made.judged("product", "PAL", 7)[1]


def test_prediction_over_truth_is_level_for_the_truth():
    log = simulate(seed=0)

    class Truth(torch.nn.Module):
        def forward(self, rows):
            return torch.logit(log.truth["test"].relevant, eps=1e-6)[self.place(rows)]

        def place(self, rows):
            start, self.at = self.at, self.at + len(rows)
            return slice(start, self.at)

    truth = Truth()
    truth.at = 0
    table = chapter.by_popularity(truth, log)
    assert len(table) == 8 and (table["prediction / truth"] - 1).abs().max() < 1e-3
    assert [f.name for f in chapter.plain(log)] == [f.name for f in log.dataset.fields][:-2]


def paired(*differences):
    return compare_runs([0.8 + d for d in differences], [0.8] * len(differences), metric="grouped_auc", paired=True)


UP, DOWN = paired(0.02, 0.021, 0.019), paired(-0.02, -0.021, -0.019)
SAME, OPEN = paired(1e-4, -1e-4, 0), paired(0.1, -0.08, 0)


@pytest.mark.parametrize(("found", "sign", "says"), [
    (UP, 1, "agrees"), (UP, 0, "disagrees"), (UP, -1, "disagrees"), (DOWN, -1, "agrees"), (DOWN, 0, "agrees"),
    (DOWN, 1, "disagrees"), (SAME, 0, "agrees"), (SAME, 1, "disagrees"), (OPEN, 1, "cannot be tested here: ≥ 0."),
])  # fmt: skip
def test_what_is_said_of_a_claim_follows_from_the_verdict(found, sign, says):
    assert chapter.reading(found, sign).startswith(says)


# What the reader sees


def per_user(model, log, where="test"):
    runs = [r for r in read_json(RESULTS / "position.json")["runs"] if (r["model"], r["condition"]) == (model, log)]
    return {r["seed"]: r[where]["grouped_auc"] for r in runs}


def test_sentences_hold_the_stored_results():
    _, text = read_back("position_bias")
    for log, lead in (("popular", "difference is "), ("expert", "difference of the two is ")):
        one, other = per_user("pal", log), per_user("naive", log)
        seeds = sorted(one.keys() & other.keys())
        v = compare_runs([one[s] for s in seeds], [other[s] for s in seeds], metric="grouped_auc", paired=True)
        assert lead + told(v) in " ".join(text.split()), "run tools/execute.py book/position_bias.ipynb again"
    assert "no difference" not in text
