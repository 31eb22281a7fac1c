"""What predictions are worth: metrics, ranking metrics, full ranking, comparisons of models. Trains nothing."""

from .predict import predict

__all__ = ["predict"]
