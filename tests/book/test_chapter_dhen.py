"""The chapter's own code: loops, vectors, modules and model agree with each other and with the library."""

import itertools

import pytest
import tiny
import torch
from notebook_code import definitions
from torch.testing import assert_close

from bench.ranking.dhen import two_kinds
from recsys_lite.distributed.hybrid import promised
from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import EnsembleLayer
from recsys_lite.layers.ensemble import MODULES
from recsys_lite.models import DHEN

chapter = definitions("book/dhen.ipynb")
KINDS = list(MODULES)
LOOPS = {name: f"{name}_loops" for name in ("mix", "dots", "cross", "attend", "convolve")}


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 3), (4, 5, 2)])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_vectors_agree(name, shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    fast, slow = getattr(chapter, name), getattr(chapter, LOOPS[name])
    weights = chapter.weights_of(fast, *shape[1:])
    order = (lambda f, v: f(*weights, v)) if name == "mix" else (lambda f, v: f(v, *weights))
    by_rows = [order(slow, list(row)) for row in x]
    expected = torch.stack([torch.stack(row) for row in by_rows]) if by_rows[0] else torch.zeros(shape[0], 0)
    assert_close(order(fast, x), expected.double())


@pytest.mark.parametrize("join", ["concat", "sum"])
@pytest.mark.parametrize("kinds", [[k] for k in KINDS] + [list(p) for p in itertools.combinations(KINDS, 2)] + [KINDS])
def test_the_model_with_copied_weights_is_the_librarys(kinds, join):
    torch.manual_seed(0)
    sizes = [4, 6, 3]
    fields = [Field("I0", "numeric"), Field("I1", "numeric")]
    fields += [Field(f"C{k}", "categorical", Vocabulary([f"v{i}" for i in range(n - 1)])) for k, n in enumerate(sizes)]
    library = DHEN(fields, dim=4, modules=kinds, layers=3, out=2, join=join).double()
    scratch = chapter.ScratchDHEN(sizes, 2, 4, kinds, layers=3, l=2, join=join).double()
    pairs = chapter.copied(library, scratch)
    ids = torch.stack([torch.randint(0, n, (9,)) for n in sizes], 1)
    rows = Rows(ids.int(), torch.randn(9, 2, dtype=torch.float64))
    assert_close(library(rows[:1]), scratch(ids[:1], rows.numeric[:1]))
    z, z_scratch = library(rows), scratch(ids, rows.numeric)
    assert_close(z, z_scratch)
    z.square().sum().backward()
    z_scratch.square().sum().backward()
    for theirs, own in pairs:
        assert_close(theirs.grad, own.grad)


def test_compressed_dots_are_the_librarys():
    library, scratch = MODULES["dot"](20, 4, 8).double(), chapter.Dot(20, 4, 8).double()
    scratch.load_state_dict({chapter.ours(name): value for name, value in library.state_dict().items()})
    x = torch.randn(3, 20, 8, dtype=torch.float64)
    assert scratch.C.shape == (16, 20)
    assert_close(library(x), scratch(x))


def test_sixty_two_signals_hold_by_one_rule_only():
    counts = {}
    for rule in ("one more input", "any two signals"):
        signals = chapter.words("AB", 2, rule)
        for naming in ("one kind a word", "any kind at each ×"):
            counts[rule, naming] = len(chapter.named(signals, KINDS, naming))
    assert [key for key, count in counts.items() if count == 62] == [("one more input", "one kind a word")]
    assert counts["any two signals", "one kind a word"] == 142 and counts["one more input", "any kind at each ×"] == 222
    assert max(map(len, chapter.words("AB", 3, "any two signals"))) == 8


@pytest.mark.parametrize("name", ["ScratchLayer", "NoNorm", "NoShortcut", "RowsLook"])
def test_each_mistake_fails_one_question(name):
    found = chapter.answers(getattr(chapter, name))
    wrong = {"ScratchLayer": [], "NoNorm": [0], "NoShortcut": [1], "RowsLook": [2]}[name]
    assert [k for k, right in enumerate(found) if not right] == wrong


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_collectives_in_a_ring(ranks):
    torch.manual_seed(0)
    values, sent = [torch.randn(12, dtype=torch.float64) for _ in range(ranks)], {}
    pieces = chapter.reduce_scatter(values, list(range(ranks)), sent)
    assert_close(torch.cat(pieces), sum(values))
    assert set(sent) == {(r, (r + 1) % ranks) for r in range(ranks)}
    assert set(sent.values()) == {12 * (ranks - 1) // ranks}
    gathered = chapter.all_gather(pieces, list(range(ranks)), sent)
    assert all(torch.equal(g, gathered[0]) for g in gathered) and set(sent.values()) == {24 * (ranks - 1) // ranks}


@pytest.mark.parametrize(("step", "copies"), [("full_step", 1), ("hybrid_step", 2)])
def test_steps_on_paper_send_what_is_promised(step, copies):
    gradients, sent = [torch.randn(32, dtype=torch.float64) for _ in range(4)], {}
    pieces = getattr(chapter, step)(gradients, sent)
    assert_close(torch.cat(pieces), torch.cat([sum(gradients)] * copies))
    across = sum(n for (a, b), n in sent.items() if a // 2 != b // 2)
    assert across == 2 * promised(32, 0, copies, hosts=2, per_host=2)["between"]


def test_the_planted_data_are_those_of_the_bench():
    for seed, signal in ((0, True), (5, False)):
        ours, theirs = chapter.two_kinds(seed, signal=signal), two_kinds(seed, signal=signal)
        assert torch.equal(ours.train.ids, theirs.train.ids) and torch.equal(ours.test.label, theirs.test.label)
        assert torch.equal(ours.extras["parts"], theirs.extras["parts"])


@pytest.mark.parametrize("m", [3, 16, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted(m, kind):
    layer = EnsembleLayer(m, 8, [kind], out=3).interactions[0]
    assert chapter.by_module(m, d=8, l=3)[kind] == sum(p.numel() for p in layer.parameters())


def test_the_degree_of_a_stack():
    assert [chapter.degree_of(layers, "cross") for layers in (1, 2, 3)] == [2, 4, 8]
    assert chapter.degree_of(3, "linear") == 1


def test_holding_a_module_at_its_mean_leaves_the_model_as_it_was():
    data = tiny.dataset(100)
    model = DHEN(data.fields, dim=8, modules=["dot", "cross"], std=0.5).eval()
    before = model(data.test)
    table = chapter.held_at_mean(model, data.test)
    assert table["module"].tolist() == ["layer 1, dot", "layer 1, cross", "layer 2, dot", "layer 2, cross"]
    assert table["NE"].abs().min() > 0
    assert_close(model(data.test), before)
