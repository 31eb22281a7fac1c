"""The chapter's own code: loops, log space and closed form agree with each other and the library; its guards bite."""

import pytest
import torch
from notebook_code import definitions
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from recsys_lite.data.simulated.clicks import POSITION, simulate
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.models import FM, PAL, LogisticRegression, WatchNext
from recsys_lite.models.position import Served, log1mexp, product_logit

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


def test_its_log_one_minus_exp_is_the_librarys():
    u = -torch.logspace(-6, 2, 200)
    assert_close(chapter.log_one_minus_exp(u), log1mexp(u))


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
    assert chapter.survives(lambda z, b, y: bce(product_logit(z, b), y)) and not chapter.survives(chapter.plain_loss)


@pytest.mark.parametrize("kind", ["biased", "everything seen", "secret"])
def test_planted_logs_are_of_their_kind(kind):
    chapter_planted = planted(kind, 0)
    rows = chapter_planted.train
    place, item = rows.ids[:, 1], rows.ids[:, 0]
    assert place.min() == 1 and place.max() == 10 and item.max() == 9
    first, last = rows.label[place <= 2].mean(), rows.label[place >= 9].mean()
    assert last < first and (planted(kind, 0).train.label == rows.label).all()
    assert (planted(kind, 1).train.label != rows.label).any()
    for k in range(1, 10):  # items move, so that places and items can be told apart
        assert len(place[item == k].unique()) >= 4


def planted(kind, seed):
    """The chapter's function, with the globals that its cell has."""
    fields = (Field("item", "categorical", Vocabulary([f"{k}" for k in range(9)])), POSITION)
    chapter.planted.__globals__.update(LIKED=torch.linspace(0.9, 0.1, 9), ITEMS=fields)
    return chapter.planted(kind, seed)


def test_errors_of_the_truth_itself_are_zero():
    data = planted("biased", 0)
    pal = PAL(data.fields, LogisticRegression(data.fields[:1]))
    with torch.no_grad():
        pal.tower.weight[1:] = torch.logit(1 / torch.arange(1.0, 11), eps=1e-6)
        pal.served.inner.weights.table.weight[1:10, 0] = torch.logit(torch.linspace(0.9, 0.1, 9))
    curve, items = chapter.errors(pal, data)
    assert curve < 1e-3 and items < 1e-3
    naive = Served(data.fields, LogisticRegression(data.fields[:1]))
    assert chapter.errors(naive, data)[1] > 0.5


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


def test_verdicts_need_an_interval_on_one_side_of_zero():
    said = [chapter.verdict(*x) for x in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))]
    assert said == ["better", "worse", "no difference"]
