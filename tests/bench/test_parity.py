"""Our code beside public libraries': the record covers all that is ours, its verdicts follow from its numbers, and our
side is still what was compared."""

import re
from itertools import pairwise

import pytest
import torch
from torch import nn

from bench import parity
from bench.against.cases import CASES, WIDTH
from bench.against.entry import Value, link, records, verdict
from bench.against.links import dense
from bench.against.measure import TOLERANCE, Case, Link, Peer, differences, fingerprint, largest
from bench.against.none import NONE
from bench.cost.workers import PEERS
from recsys_lite import layers, models
from recsys_lite.layers import MLP, CrossNetV2
from recsys_lite.store import read_json

RECORD = read_json(parity.FILE)
RESULTS = RECORD["results"]


def covered():
    """Names of ours before the first comma or bracket, from results and from what has no counterpart."""
    return {re.split(r"[,+]", line["ours"])[0] for line in [*RESULTS, *RECORD["none"]]}


def test_every_ranking_model_is_covered():
    assert {kind.__name__ for kind in models.MODELS.values()} <= covered()
    compared = {re.split(r"[,+]", line["ours"])[0] for line in RESULTS}
    alone = {kind.__name__ for kind in models.MODELS.values()} - compared
    assert alone == {"DHEN", "GDCN", "SplitNetwork"}


def test_every_model_and_layer_is_covered():
    others = {"MODELS", "Model"}  # the list of names, and the base class
    assert set(models.__all__) - others <= covered()
    tools = {"CrossLayers", "add_batch_norm", "fold_batch_norm", "linear_piece"}  # a base class, and no layers
    devices = {"choose_device", "device_of", "devices", "on_cpu"}
    assert set(layers.__all__) - tools - devices <= covered()


def test_every_metric_is_covered():
    wanted = {"auc", "log_loss", "normalized_entropy", "grouped_auc", "recall@5", "ndcg@5", "auc_interval", "hit_rate"}
    assert wanted <= covered()


def test_the_record_is_of_the_releases_that_the_environments_have():
    assert [line["library"] for line in RECORD["libraries"]] == parity.LIBRARIES
    assert {line["library"]: line["version"] for line in RECORD["libraries"]}.items() >= {
        library: version for library, (version, _) in PEERS.items()
    }.items()
    assert RECORD["none"] == [line._asdict() for line in NONE]


@pytest.mark.parametrize("line", RESULTS, ids=lambda r: f"{r['library']} {r['ours']}")
def test_a_verdict_follows_from_the_numbers(line):
    assert line["verdict"] == verdict(line, line["precision"], line["why"])
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[\w.]+/[\w/]+\.py#L\d+", line["link"])
    if line["verdict"] == "differs":
        assert line["why"].endswith((".", ".)")) and line["formula"]
    parts = set(line["differences"])
    assert parts == {"value"} or {"forward", "gradient"} <= parts
    if line["kind"] == "model" and parts != {"value"}:
        assert {"SGD", "Adam"} <= parts


def test_modules_that_differ_agree_under_the_librarys_rule():
    modules = [r for r in RESULTS if r["verdict"] == "differs" and "forward" in r["differences"]]
    assert modules and all(max(r["rule"]["differences"].values()) <= TOLERANCE[r["precision"]] for r in modules)


def test_our_side_is_what_was_compared():
    assert parity.changed(RECORD["ours"], parity.ours(RECORD)) == []


# The measure


def beside(change=lambda theirs: None):
    """A network of ours beside a copy that a change made another."""
    case = CASES["MLP"]()
    theirs = MLP(WIDTH, (5, 3), outputs=1).double()
    peer = Peer(theirs, dense("", [m for m in theirs if isinstance(m, nn.Linear)]))
    change(theirs)
    return case, peer


def test_a_copy_agrees_in_all_that_is_compared():
    case, peer = beside()
    assert differences(case, peer) == {"forward": 0, "gradient": 0, "SGD": 0, "Adam": 0}


def test_another_function_with_the_same_parameters_is_seen():
    def tanh(theirs):
        theirs[1] = nn.Tanh()

    assert min(differences(*beside(tanh)).values()) > 1e-2


def test_a_parameter_without_counterpart_is_refused_or_held():
    class Scaled(MLP):
        def __init__(self):
            super().__init__(WIDTH, (5, 3), outputs=1)
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * super().forward(x)

    theirs = Scaled().double()
    links = dense("", [m for m in theirs if isinstance(m, nn.Linear)])
    with pytest.raises(ValueError, match="scale"):
        differences(CASES["MLP"](), Peer(theirs, links))
    assert max(differences(CASES["MLP"](), Peer(theirs, links, held={"scale": 1.0})).values()) < 1e-12
    assert differences(CASES["MLP"](), Peer(theirs, links, held={"scale": 2.0}))["forward"] == pytest.approx(1)
    with pytest.raises(ValueError, match=r"ours: 4\.bias"):
        differences(CASES["MLP"](), Peer(MLP(WIDTH, (5, 3), 1).double(), links[:-1], held={}))


def test_parameters_of_other_shapes_are_refused():
    case, peer = beside()
    peer.links[0] = Link("0.weight", peer.links[0].parameter, theirs=lambda p: p.T)
    with pytest.raises(ValueError, match=r"0\.weight"):
        differences(case, peer)
    with pytest.raises(ValueError, match="shapes differ"):
        largest([(torch.ones(2), torch.ones(3))])


def test_a_bias_outside_of_the_product_is_seen_and_explained():
    class Outside(CrossNetV2):
        def added(self, layer, x0, x):
            return x0 * self.product(layer, x) + self.bias[layer]

    def peer():
        theirs = Outside(WIDTH, 3).double()
        return Peer(theirs, [Link("weight", theirs.weight), Link("bias", theirs.bias)])

    assert differences(CASES["CrossNetV2"](), peer())["forward"] > 0.01
    assert max(differences(CASES["CrossNetV2, bias outside"](), peer()).values()) == 0


def test_numbers_of_our_side_notice_a_change():
    one, two = (fingerprint(CASES["CrossNet"]()) for _ in range(2))
    assert one == two and set(one) == {"forward", "gradient", "SGD", "Adam"}
    case = CASES["CrossNet"]()
    case.module.bias.data[0, 0] += 1e-4
    assert parity.changed({"x": one}, {"x": fingerprint(case)}) == ["x"]
    assert parity.changed({"x": one}, {}) == ["x"] and parity.changed({"x": one}, {"x": two}) == []


def test_precision_reaches_module_and_rows():
    for name in ("FM", "MLP"):
        case = CASES[name]().to("float32")
        assert isinstance(case, Case) and case.call(case.module, case.inputs).dtype == torch.float32


# Verdicts


def test_a_verdict_needs_its_reason():
    same, other = {"differences": {"value": 1e-12}}, {"differences": {"value": 0.1}}
    assert verdict(same, "float64", "") == "agrees" and verdict(other, "float64", "It is doubled.") == "differs"
    for found, why in ((same, "It is doubled."), (other, "")):
        with pytest.raises(ValueError, match="the reason given"):
            verdict(found, "float64", why)
    with pytest.raises(ValueError, match="does not explain"):
        verdict(other | {"rule": {"ours": "x", "differences": {"value": 0.1}}}, "float64", "It is doubled.")


def test_a_link_leads_to_the_line_and_an_exception_is_recorded():
    at = link("sklearn", "sklearn/metrics/_ranking.py", "def roc_auc_score( >> return")
    import sklearn.metrics._ranking as ranking

    line = open(ranking.__file__, encoding="utf-8").read().splitlines()[int(at.rpartition("#L")[2]) - 1]
    assert "return" in line and "/blob/" in at
    with pytest.raises(ValueError, match="no line"):
        link("sklearn", "sklearn/metrics/_ranking.py", "def no_such_thing(")
    made = records("sklearn", [Value("auc", "metric", "x", lambda: (1.0, 1 / 0), ("a", "b"))])
    assert made[0]["verdict"] == "failed" and "ZeroDivisionError" in made[0]["why"]


def test_lines_stand_in_the_order_of_the_libraries():
    order = [parity.LIBRARIES.index(line["library"]) for line in RESULTS]
    assert all(a <= b for a, b in pairwise(order))
