"""What predictions are worth: metrics, ranking metrics, full ranking, comparisons of models. Trains nothing."""

from .inference import predict

__all__ = ["predict"]
