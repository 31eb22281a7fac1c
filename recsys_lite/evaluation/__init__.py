"""What predictions are worth: metrics, ranking metrics, full ranking, comparisons of models. Trains nothing."""

from .clicks import against_truth
from .full_ranking import Retriever, earlier, evaluate_retrieval, per_user, top_k
from .inference import predict
from .metrics import auc, auc_interval, calibration_table, evaluate, grouped_auc, interval, log_loss, normalized_entropy
from .ranking import evaluate_ranking, hit_rate, ndcg, place, places, score_all
from .report import bootstrap_gaps, holm, standings
from .scoring import score

__all__ = [
    "Retriever",
    "against_truth",
    "auc",
    "auc_interval",
    "bootstrap_gaps",
    "calibration_table",
    "earlier",
    "evaluate",
    "evaluate_ranking",
    "evaluate_retrieval",
    "grouped_auc",
    "hit_rate",
    "holm",
    "interval",
    "log_loss",
    "ndcg",
    "normalized_entropy",
    "per_user",
    "place",
    "places",
    "predict",
    "score",
    "score_all",
    "standings",
    "top_k",
]
