"""The chapter's own code agrees with the library, and its helpers say what they are used to say."""

import pytest
import torch
from notebook_code import definitions

from recsys_lite.plots.diagrams import architecture
from recsys_lite.retrieval import Funnel, Stage, best

chapter = definitions("book/catalogue_to_screen.ipynb")


@pytest.mark.parametrize("shape", [(1, 3, 2), (5, 9, 4), (3, 6, 6), (2, 4, 9)])
@pytest.mark.parametrize("seed", range(3))
def test_loops_and_vectors_keep_what_the_library_keeps(shape, seed):
    users, count, keep = shape
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(users, count, generator=g)
    items = torch.stack([torch.randperm(30, generator=g)[:count] for _ in range(users)])
    items[0, 0] = -1
    scores[0, 0] = 99.0  # an empty place with the highest score
    fast = chapter.keep_fast(scores, items, keep)
    assert torch.equal(fast, best(scores, items, keep))
    assert chapter.keep_loops(scores, items, keep) == [[i for i in row if i >= 0] for row in fast.tolist()]
    assert fast[0, -1] == -1 or keep < count


@pytest.mark.parametrize("seed", range(3))
def test_the_loop_is_the_librarys_funnel(seed):
    g = torch.Generator().manual_seed(seed)
    tables = [torch.randn(4, 25, generator=g) for _ in range(3)]
    look = lambda t: lambda users, items: t[users].gather(1, items)  # noqa: E731
    one = lambda t: lambda user, item: t[user, item].item()  # noqa: E731
    kept = [("a", 12), ("b", 6), ("c", 3)]
    library = Funnel(tuple(Stage(n, k, look(t)) for (n, k), t in zip(kept, tables, strict=True)))
    run = library.run(torch.arange(4), torch.arange(25).expand(4, -1))
    for user in range(4):
        loops = chapter.funnel_loops(
            [(n, k, one(t)) for (n, k), t in zip(kept, tables, strict=True)], user, list(range(25))
        )
        assert loops == {name: items[user].tolist() for name, items in run.items()}


def test_verdicts_and_resampling():
    assert chapter.verdict(0.1, 0.2) == "better" and chapter.verdict(-0.2, -0.1) == "worse"
    assert chapter.verdict(-0.1, 0.1) == "no difference shown"
    mean, low, high = chapter.resampled([1.0] * 50 + [0.0] * 50)
    assert mean == 0.5 and 0.38 < low < 0.43 and 0.57 < high < 0.62  # about 0.5 ± 1.96 · 0.05
    assert chapter.resampled([0.3] * 20)[1:] == pytest.approx((0.3, 0.3))


def test_the_funnel_has_a_drawing():
    assert "final ranking" in architecture("funnel") and architecture("funnel").startswith("<svg")
