"""The order that everybody gets: items by how often they were taken."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.leave_one_out import LeaveOneOut
from ..fields import Rows


class Popularity(nn.Module):
    """The same order for everybody: an item scores the number of its training interactions."""

    def __init__(self, data: LeaveOneOut):
        super().__init__()
        counts = torch.bincount(data.train[:, 1], minlength=data.num_items)
        self.register_buffer("counts", torch.cat([counts.new_zeros(1), counts]).float())  # row 0: no such item

    def forward(self, rows: Rows) -> Tensor:
        return self.get_buffer("counts")[rows.ids[:, 1].long()]
