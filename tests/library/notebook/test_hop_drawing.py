"""The drawing of a signal's paths: the heaviest ones, and the numbers of the graph."""

import pytest
import torch

from recsys_lite.models import LightGCN
from recsys_lite.notebook.hop_drawing import hop_drawing, strongest_paths

#: user 0 has items 0 and 1; users 1 and 2 lead from there to item 2
PAIRS = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 2], [2, 1], [2, 2], [2, 3]])


def model(layers=3):
    torch.manual_seed(0)
    return LightGCN((PAIRS, 3, 4), dim=4, layers=layers, std=1.0)


def test_the_paths_are_those_of_the_product_of_weights():
    m = model()
    A = m.graph.dense()
    paths = strongest_paths(m.graph, 0, 2)
    assert paths == [(3, 1), (4, 2)]  # item 0 and user 1; then item 1 and user 2, who has three items
    weights = [A[0, f] * A[f, v] * A[v, 5] for f, v in paths]
    assert weights[0] > weights[1]
    assert torch.isclose(sum(weights), torch.linalg.matrix_power(A, 3)[0, 5])


def test_the_drawing_has_the_names_and_the_signal():
    m = model()
    svg = hop_drawing(m, 0, 2, lambda n: f"user {n}" if n < 3 else f"film {n - 3}")
    for text in ("user 0", "film 0", "film 1", "user 1", "user 2", "film 2", "starts with 1; 2 items"):
        assert f">{text}<" in svg
    cubed = torch.linalg.matrix_power(m.graph.dense(), 3)[0, 5]
    assert f"{cubed:.4f} after three hops" in svg
    assert f"= {m.scores(torch.tensor([0]))[0, 2]:.2f}".replace("-", "−") in svg


def test_without_a_path_or_with_another_depth_it_refuses():
    with pytest.raises(ValueError, match="three layers and a path"):
        hop_drawing(model(layers=2), 0, 2, str)
    alone = LightGCN((torch.tensor([[0, 0], [1, 1]]), 2, 2), dim=2)
    with pytest.raises(ValueError, match="0 paths"):
        hop_drawing(alone, 0, 1, str)
