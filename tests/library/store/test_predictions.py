"""Stored predictions come back, fit their test rows only, and take two bytes each."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from recsys_lite.evaluation import auc, log_loss
from recsys_lite.fields import Dataset, Field, Rows, Vocabulary
from recsys_lite.store.predictions import load_predictions, save_predictions, stored_seeds

N = 3000


def made(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    user = torch.from_numpy(rng.integers(1, 4, (N, 1)).astype(np.int32))
    label = torch.from_numpy((rng.random(N) < 0.3).astype(np.float32))
    rows = Rows(user, torch.zeros(N, 0), label=label, group=user[:, 0])
    fields = (Field("user", "categorical", Vocabulary(["x", "y", "z"])),)
    return Dataset("made", "click", fields, rows, rows, rows, about={"data_sha256": "abc"})


def logits(dataset: Dataset, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    return spread * (dataset.test.label.numpy() - 1 + 2 * rng.normal(size=(3, N)))


@pytest.mark.parametrize("spread", [1, 5])  # 5: logits from -45 to 45
def test_they_come_back_as_probabilities_whose_metrics_hardly_differ(tmp_path, spread):
    dataset = made()
    z, y = logits(dataset, spread), dataset.test.label.numpy()
    save_predictions(dataset, "fm", z, [4, 0, 2], folder=tmp_path)
    back = load_predictions(dataset, folder=tmp_path)["fm"]
    assert back.shape == (3, N) and stored_seeds("made", "click", "fm", folder=tmp_path) == [4, 0, 2]
    assert np.abs(logit(back[:, :100]) - z[:, :100])[np.abs(z[:, :100]) < 30].max() <= np.ptp(z, 1).max() / 65535
    for own, given in zip(back, z, strict=True):
        assert abs(auc(y, own) - auc(y, given)) < 1e-5
        assert abs(log_loss(y, own) - log_loss(y, expit(given))) < 1e-5
    size = (tmp_path / "made.click.fm.safetensors").stat().st_size
    assert size < 3 * N * 2 + 500


def test_equal_logits_stay_equal_and_a_constant_seed_is_kept(tmp_path):
    dataset = made()
    z = np.vstack([np.full(N, -0.7), np.repeat([0.25, 1.5, 1.5001], N // 3)])
    save_predictions(dataset, "fm", z, [0, 1], folder=tmp_path)
    back = load_predictions(dataset, folder=tmp_path)["fm"]
    assert back[0] == pytest.approx(expit(-0.7)) and [len(np.unique(x)) for x in back] == [1, 3]


def test_they_fit_their_test_rows_only(tmp_path):
    dataset = made()
    save_predictions(dataset, "fm", logits(dataset), [0, 1, 2], folder=tmp_path)
    turned = replace(dataset, test=dataset.test[torch.arange(N).flip(0)])
    for other, key in ((made(seed=5), "test_sha256"), (turned, "test_sha256")):
        with pytest.raises(ValueError, match=f"made for other test rows \\({key} differs\\)"):
            load_predictions(other, folder=tmp_path)
    with pytest.raises(ValueError, match="rows differs"):
        load_predictions(replace(dataset, test=dataset.test[:10]), folder=tmp_path)
    with pytest.raises(ValueError, match="none are stored for made, like"):
        load_predictions(replace(dataset, task="like"), folder=tmp_path)
    with pytest.raises(ValueError, match=r"none of 'dcn' for made, click; there are \['fm'\]"):
        load_predictions(dataset, ["dcn"], folder=tmp_path)
    record = json.loads((tmp_path / "made.click.fm.json").read_text())
    (tmp_path / "made.click.fm.json").write_text(json.dumps({**record, "seeds": [0, 1]}))
    with pytest.raises(ValueError, match="do not fit the record of 2 seeds"):
        load_predictions(dataset, folder=tmp_path)


def test_what_cannot_be_stored_is_named(tmp_path):
    dataset = made()
    z = logits(dataset)
    for wrong, seeds, words in (
        (z[:, 1:], [0, 1, 2], r"expected \(3, 3000\), got shape \(3, 2999\)"),
        (np.where(z > 3, np.inf, z), [0, 1, 2], "not finite"),
        (z, [0, 1, 1], "seeds repeat"),
        (z * 1000, [0, 1, 2], "logits span"),
    ):
        with pytest.raises(ValueError, match=words):
            save_predictions(dataset, "fm", wrong, seeds, folder=tmp_path)
    with pytest.raises(ValueError, match="no name of a model"):
        save_predictions(dataset, "../fm", z, [0, 1, 2], folder=tmp_path)
    assert not list(tmp_path.iterdir())
