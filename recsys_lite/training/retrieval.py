"""Training of retrievers on interactions, judged by full ranking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..data.interactions import Interactions
from ..evaluation.full_ranking import K, Retriever, evaluate_retrieval
from .loop import Steps
from .record import Result
from .settings import Settings, takes

#: (model, numbers of training interactions (B,), generator of its own draws) -> the loss of the batch
Step = Callable[[nn.Module, Tensor, torch.Generator], Tensor]


class Retrieved:
    """The :class:`~recsys_lite.training.loop.Task` of interactions; arguments as in :func:`fit_retrieval`."""

    name = "retrieval"
    from_start = False

    def __init__(self, data: Interactions, step: Step, evaluator: Retriever | None = None):
        if not len(data.validation):
            raise ValueError(f"fit_retrieval: data set {data.name!r} has no validation part to stop by")
        self.data, self.dataset, self.step, self.evaluator = data, data.name, step, evaluator
        self.options: dict[str, Any] = {}

    def batches(
        self, epoch: int, settings: Settings, generator: torch.Generator, device: torch.device
    ) -> Iterator[Tensor]:  # fmt: skip
        """Numbers of training interactions in a new order."""
        return iter(torch.randperm(len(self.data.train), generator=generator).split(settings.batch_size))

    def loss(self, model: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        """What the step says."""
        return self.step(model, batch, generator)

    def metrics(self, model: nn.Module, part: str) -> dict[str, float]:
        """Recall and NDCG among all items."""
        return evaluate_retrieval(self.evaluator or model, self.data, part)  # type: ignore[arg-type]

    def defined(self) -> Collection[str]:
        """Both of them."""
        return (f"recall@{K}", f"ndcg@{K}")

    def higher(self, metric: str) -> bool:
        """Both of them."""
        return True

    def data_read(self) -> tuple[Any, ...]:
        """Both parts, and the features."""
        queries = [self.data.queries[name] for name in sorted(self.data.queries)]
        return self.data.train, self.data.validation, self.data.candidates, *queries


@takes(epochs=50, batch_size=2048, patience=5, monitor=f"ndcg@{K}")
def fit_retrieval(
    model: nn.Module, data: Interactions, step: Step, settings: Settings, *, evaluator: Retriever | None = None,
    progress: bool = True, evaluate_test: bool = True,
) -> Result:  # fmt: skip
    """Train a retriever on ``data.train``, stop by the validation part's full ranking, test once.

    Args:
        model: trained in place; it is built after :func:`recsys_lite.training.seed_everything`.
        step: (model, numbers of training interactions (B,), generator of its own draws) -> the loss of a batch.
        evaluator: the retriever that is judged, where it is not the model itself.
        progress, evaluate_test: as in :func:`~recsys_lite.training.fit`.
        settings: each by its keyword, see :class:`~recsys_lite.training.Settings`; here at most 50 epochs, batches of
            2048, patience 5, and ``monitor`` is a metric of
            :func:`~recsys_lite.evaluation.full_ranking.evaluate_retrieval`, NDCG@20.

    Raises:
        ValueError: for settings out of range, an unknown metric, or a loss that is not finite.
    """
    return Steps(model, Retrieved(data, step, evaluator), settings).finish(progress, evaluate_test)
