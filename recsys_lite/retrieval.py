"""Finding candidates among all items: metrics of full ranking, lists, and the training that leads there.

A *retriever* is anything with ``scores(users)``: (B,) numbers of users -> (B, I) scores of all items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor, nn

from .data.interactions import Interactions
from .ranking import hit_rate, ndcg, place
from .train import Result, run_epochs

K = 20  # length of the list, as in the LightGCN paper


class Retriever(Protocol):
    """Scores all items for some users."""

    def scores(self, users: Tensor) -> Tensor:
        """(B,) numbers of users -> (B, I), nothing masked."""
        ...


Step = Callable[[nn.Module, Tensor, torch.Generator], Tensor]


def earlier(part: str) -> tuple[str, ...]:
    """The parts that are known when a part is judged: their items are no candidates.

    Example:
        >>> earlier("test")
        ('train', 'validation')
    """
    if part not in ("validation", "test"):
        raise ValueError(f"retrieval: unknown part {part!r}; there are 'validation' and 'test'")
    return ("train", "validation")[: 1 + (part == "test")]


@torch.no_grad()
def scored(retriever: Retriever, users: Tensor, batch: int = 1024) -> Iterator[tuple[Tensor, Tensor]]:
    """Users in batches with their scores; a module is in evaluation mode meanwhile."""
    training = isinstance(retriever, nn.Module) and retriever.training
    if isinstance(retriever, nn.Module):
        retriever.eval()
    try:
        for some in users.split(batch):
            yield some, retriever.scores(some)
    finally:
        if isinstance(retriever, nn.Module):
            retriever.train(training)


def per_user(retriever: Retriever, data: Interactions, part: str = "test", k: int = K) -> pd.DataFrame:
    r"""Recall and NDCG of every user who has items in a part, among all items that the user has not in earlier parts.

    .. math:: \mathrm{recall@}k = \frac{1}{|R|} \sum_{i \in R} [\mathrm{place}_i < k], \qquad
        \mathrm{NDCG@}k = \frac{\sum_{i \in R,\ \mathrm{place}_i < k} 1 / \log_2(\mathrm{place}_i + 2)}
        {\sum_{p < \min(k, |R|)} 1 / \log_2(p + 2)}

    with the places from 0 and R the user's items in the part. Items of equal score stand in random order, and both are
    expected values, so a scorer that knows nothing gains nothing. Source: as in the LightGCN authors' code.

    Returns:
        a line per user: user, items (how many there are to find), recall, ndcg.

    Raises:
        ValueError: for an unknown part, scores of a wrong shape, or NaN among them.
    """
    known, wanted = data.mask(*earlier(part)), data.mask(part)
    users = wanted.any(1).nonzero().squeeze(1)
    ideal = (1 / torch.log2(torch.arange(k, dtype=torch.float64) + 2)).cumsum(0)
    lines = []
    for some, scores in scored(retriever, users):
        if scores.shape != (len(some), data.num_items):
            raise ValueError(f"scores: expected {(len(some), data.num_items)}, got {tuple(scores.shape)}")
        row, item = wanted[some].nonzero().T  # (M,) what is to be found
        for chunk in torch.arange(len(row)).split(8192):
            at = row[chunk]
            above, tied = place(scores[at], scores[at, item[chunk]], ~known[some[at]])
            tied = tied - 1  # the item is no rival of itself
            lines.append(
                torch.stack([some[at].double(), hit_rate(above, tied, k).double(), ndcg(above, tied, k).double()], 1)
            )
    table = pd.DataFrame(torch.cat(lines).numpy(), columns=["user", "recall", "ndcg"]).astype({"user": int})
    grouped = table.groupby("user")
    items = grouped.size()
    return pd.DataFrame({
        "items": items, "recall": grouped["recall"].mean(),
        "ndcg": grouped["ndcg"].sum() / ideal.numpy()[items.clip(upper=k) - 1],
    }).reset_index()  # fmt: skip


def evaluate_retrieval(retriever: Retriever, data: Interactions, part: str = "test", k: int = K) -> dict[str, float]:
    """Means of :func:`per_user` over users: ``recall@20`` and ``ndcg@20``."""
    table = per_user(retriever, data, part, k)
    return {f"recall@{k}": float(table["recall"].mean()), f"ndcg@{k}": float(table["ndcg"].mean())}


def top_k(retriever: Retriever, users: Tensor, k: int, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k items of highest score for each user: scores (B, k) and items (B, k), the best first.

    Args:
        seen: (B, I) items that are left out, at most I - k of them for each user; they never appear.

    Raises:
        ValueError: if too few items are left.
    """
    scores = torch.cat([s for _, s in scored(retriever, users)])
    if seen is not None:
        if (short := (~seen).sum(1) < k).any():
            raise ValueError(f"top_k: user number {int(users[short][0])} has fewer than {k} items left")
        scores = scores.masked_fill(seen, -torch.inf)
    elif k > scores.shape[1]:
        raise ValueError(f"top_k: {k} of {scores.shape[1]} items asked for")
    found = scores.topk(k, 1)
    return found.values, found.indices


def fit_retrieval(
    model: nn.Module, data: Interactions, step: Step, *, epochs: int = 50, batch_size: int = 2048, lr: float = 1e-3,
    weight_decay: float = 0.0, patience: int = 5, monitor: str = f"ndcg@{K}", seed: int = 0,
    evaluator: Retriever | None = None, checkpoint: str | Path | None = None, progress: bool = True,
    evaluate_test: bool = True,
) -> Result:  # fmt: skip
    """Train a retriever on ``data.train`` with Adam, stop by the validation part's full ranking, test once.

    Args:
        model: trained in place; it is built after :func:`recsys_lite.train.seed_everything`.
        step: (model, numbers of training interactions (B,), generator of its own draws) -> the loss of a batch.
        epochs, batch_size, lr, weight_decay, patience, seed, checkpoint, progress, evaluate_test: as in
            :func:`recsys_lite.train.fit`.
        monitor: a metric of :func:`evaluate_retrieval` on the validation part. Default NDCG@20.
        evaluator: the retriever that is judged, where it is not the model itself.

    Raises:
        ValueError: for settings out of range, an unknown metric, or a loss that is not finite.
    """
    if min(epochs, batch_size, patience) < 1 or lr <= 0 or weight_decay < 0:
        got = f"{epochs=}, {batch_size=}, {patience=}, {lr=}, {weight_decay=}"
        raise ValueError(
            f"fit_retrieval: expected counts of at least 1, lr above 0, weight_decay at least 0; got {got}"
        )
    settings = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay, "patience": patience,
        "monitor": monitor, "optimizer": "Adam", **getattr(model, "config", {}),
    }  # fmt: skip
    result = Result(data.name, "retrieval", type(model).__name__, seed, settings)
    result.parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    judged: Retriever = model if evaluator is None else evaluator  # type: ignore[assignment]

    def train_epoch(epoch: int) -> float:
        torch.manual_seed(seed * 100_003 + epoch)  # dropout
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        model.train()
        total = 0.0
        for batch in torch.randperm(len(data.train), generator=generator).split(batch_size):
            loss = step(model, batch, generator)
            if not torch.isfinite(loss):
                raise ValueError(f"fit_retrieval: the loss is {loss.item()} in epoch {epoch}; try a smaller lr")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        return total / len(data.train)

    run_epochs(
        model, result, [optimizer], train_epoch=train_epoch,
        validate=lambda: evaluate_retrieval(judged, data, "validation"),
        epochs=epochs, patience=patience, monitor=monitor, higher=True, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    if evaluate_test:
        result.test = evaluate_retrieval(judged, data, "test")
    return result
