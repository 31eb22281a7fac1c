"""The drawing of NeuMF holds the sizes and numbers of the row."""

import re

import pytest
import torch
from tiny import FIELDS
from tiny import rows as tiny_rows

from recsys_lite.models import NeuMF
from recsys_lite.notebook.neumf_drawing import neumf_drawing


def test_sizes_and_numbers_are_those_of_the_model():
    torch.manual_seed(0)
    model, row = NeuMF(FIELDS, dim=4, hidden=(12, 6), side=5, std=1.0), tiny_rows(1)
    text = " ".join(re.findall(r">([^<]+)</text>", neumf_drawing(model, row, "user 7, Alien")))
    with torch.no_grad():
        parts = {k: f"{float(v):.2f}".replace("-", "−") for k, v in model.parts(row).items()}
        chance = 100 * float(torch.sigmoid(model(row)))
    assert "user 7, Alien" in text and "p, q: 4 each" in text and "p′, q′: 5 each" in text and "10 → 12 → 6" in text
    assert f"= {parts['gmf']}" in text and f"= {parts['mlp']}" in text
    assert f"{chance:.0f} %" in text


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(ValueError, match="needs a GMF part and a network"):
        neumf_drawing(NeuMF(FIELDS, use_gmf=False), tiny_rows(1))
    with pytest.raises(ValueError, match="expected one row, got 2"):
        neumf_drawing(NeuMF(FIELDS), tiny_rows(2))
