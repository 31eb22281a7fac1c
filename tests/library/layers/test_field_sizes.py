"""Principal components of trained tables: hand-worked variances, sizes against scikit-learn's, retraining."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from tiny import FIELDS, dataset, rows

from recsys_lite.fields import Field, Rows, Vocabulary
from recsys_lite.layers import FieldEmbedding
from recsys_lite.layers.field_sizes import field_sizes, field_variance
from recsys_lite.models import DCNV2, GDCN

EMBEDDED = [f for f in FIELDS if f.kind != "numeric"]


def one_field(table):
    """An embedding of one field whose known values have the given vectors; the unseen row is far away."""
    vectors = torch.tensor(table)
    layer = FieldEmbedding(
        [Field("f", "categorical", Vocabulary([f"v{k}" for k in range(len(vectors))]))], vectors.shape[1]
    )
    layer.table.weight.data = torch.cat([torch.full((1, vectors.shape[1]), 99.0), vectors])
    return layer


def filled(std=1.0, dim=6):
    torch.manual_seed(0)
    layer = FieldEmbedding(EMBEDDED, dim=dim)
    layer.table.weight.data = torch.randn(layer.table.weight.shape) * std * torch.linspace(2, 0.1, dim)
    return layer


def test_variances_by_hand_and_the_unseen_row_and_the_mean_do_not_count():
    square = [[5.0, 4.0], [5.0, 6.0], [1.0, 4.0], [1.0, 6.0]]  # mean (3, 5); variances 4 and 1
    layer = one_field(square)
    assert field_variance(layer)["f"].tolist() == pytest.approx([4, 1])
    assert field_sizes(layer, 0.8) == {"f": 1} and field_sizes(layer, 0.81) == {"f": 2}


def test_rows_weigh_each_value_by_how_often_it_occurs():
    layer = one_field([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    seen = Rows(torch.tensor([[1], [2], [1], [2]], dtype=torch.int32), torch.zeros(4, 0))
    assert field_variance(layer, seen)["f"].tolist() == pytest.approx([1, 0])
    assert field_sizes(layer, 0.9, seen) == {"f": 1} and field_sizes(layer, 0.9) == {"f": 2}
    unseen = Rows(torch.zeros(4, 1, dtype=torch.int32), torch.zeros(4, 0))
    with pytest.raises(ValueError, match="no value of field 'f' occurs in the rows"):
        field_sizes(layer, 0.9, unseen)


def test_weights_equal_a_table_in_which_values_repeat():
    layer, batch = filled(), rows(200)
    index, value = layer.active(batch)
    start = layer.offsets["item"]
    often = torch.zeros(len(layer.table.weight)).index_add(0, index.flatten(), value.flatten())[start + 1 : start + 7]
    table = layer.table.weight.detach().numpy()[start + 1 : start + 7]
    covariance = np.cov(table.T, aweights=often.numpy(), ddof=0)
    assert field_variance(layer, batch)["item"].numpy() == pytest.approx(np.linalg.eigvalsh(covariance)[::-1], abs=1e-5)
    assert often.sum() > 200  # the history counts, too


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_sizes_are_scikit_learns(share):
    layer = filled()
    sizes = field_sizes(layer, share)
    for f in EMBEDDED:
        first = layer.offsets[f.table]
        table = layer.table.weight.detach().double().numpy()[first + 1 : first + f.size]
        assert sizes[f.name] == PCA(n_components=share).fit(table).n_components_, f.name


def test_sizes_do_not_depend_on_scale_or_rotation_and_grow_with_the_share():
    layer = filled()
    before = [field_sizes(layer, share) for share in (0.5, 0.8, 0.95, 1.0)]
    assert all(a[n] <= b[n] for a, b in pairwise(before) for n in a)
    assert before[-1]["user"] == 6 and before[-1]["genres"] == 2  # three values span two dimensions
    turn = torch.linalg.qr(torch.randn(6, 6)).Q
    layer.table.weight.data = 7 * layer.table.weight.data @ turn
    assert [field_sizes(layer, share) for share in (0.5, 0.8, 0.95, 1.0)] == before


def test_a_table_without_variance_gets_one_place():
    layer = one_field([[1.0, 2.0, 3.0]] * 4)
    assert field_sizes(layer) == {"f": 1}


def test_a_history_has_its_items_size_and_a_new_model_takes_the_sizes():
    torch.manual_seed(0)
    data = dataset(50)
    full = GDCN(data.fields, dim=6, hidden=(8,))
    sizes = field_sizes(full.input.embedding, 0.7)
    assert sizes["history"] == sizes["item"] and set(sizes) == {f.name for f in EMBEDDED}
    for kind in (GDCN, DCNV2):
        small = kind(data.fields, dim=sizes, hidden=(8,))
        assert small.input.width == sum(sizes.values()) + 1  # and the price
        assert small.parameter_count < kind(data.fields, dim=6, hidden=(8,)).parameter_count
        small(data.train).sum().backward()


@pytest.mark.parametrize("share", [0, -0.5, 1.01])
def test_a_share_out_of_range_is_named(share):
    with pytest.raises(ValueError, match="share must be above 0 and at most 1"):
        field_sizes(filled(), share)
