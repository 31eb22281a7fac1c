"""What predictions are worth: metrics, ranking metrics, full ranking, comparisons of models. Trains nothing."""

from .clicks import against_truth
from .compare import Verdict, compare, compare_all, compare_runs
from .full_ranking import Retriever, earlier, evaluate_retrieval, per_user, top_k
from .inference import predict
from .leak import counter_auc
from .metrics import auc, auc_interval, calibration_table, evaluate, grouped_auc, interval, log_loss, normalized_entropy
from .power import compare_counts, exact, holm, smallest_effect
from .ranking import evaluate_ranking, hit_rate, ndcg, place, places, score_all
from .report import bootstrap_gaps, standings
from .scoring import score
from .stored import compare_stored, together

__all__ = [
    "Retriever",
    "Verdict",
    "against_truth",
    "auc",
    "auc_interval",
    "bootstrap_gaps",
    "calibration_table",
    "compare",
    "compare_all",
    "compare_counts",
    "compare_runs",
    "compare_stored",
    "counter_auc",
    "earlier",
    "evaluate",
    "evaluate_ranking",
    "evaluate_retrieval",
    "exact",
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
    "smallest_effect",
    "standings",
    "together",
    "top_k",
]
