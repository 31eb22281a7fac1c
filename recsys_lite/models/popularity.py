"""The order that everybody gets: items by how often they were taken."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.interactions import Interactions
from ..data.leave_one_out import LeaveOneOut
from ..fields import Rows


class Popularity(nn.Module):
    """The same order for everybody: an item scores the number of its training interactions.

    Args:
        data: with ``train``, numbers of users and items from 0, and ``num_items``.

    Shapes: ``scores``: (B,) users -> (B, I). As a model of rows: the item's number is the second column of ``ids``,
    counted from 1; 0 is no item.
    """

    def __init__(self, data: Interactions | LeaveOneOut):
        super().__init__()
        self.register_buffer("counts", torch.bincount(data.train[:, 1], minlength=data.num_items).float())

    def scores(self, users: Tensor) -> Tensor:
        """The counts, once for each user."""
        return self.get_buffer("counts").expand(len(users), -1)

    def forward(self, rows: Rows) -> Tensor:
        """The count of each row's item."""
        item = rows.ids[:, 1].long()
        return self.get_buffer("counts")[(item - 1).clamp(min=0)] * (item > 0)
