"""The one loop and what each kind of training adds to it: batches, loss, metrics. Knows no architecture's inside.

Not here: small trainings that a reader watches (``lab``), more than one process (``distributed``).
"""

from .leave_one_out import epoch_rows, fit_ranking
from .loop import Steps, Task, seed_everything
from .losses import bpr, in_batch_softmax
from .negatives import draw_negatives
from .optim import FTRL, tower_optimizer, wide_deep_optimizers
from .pointwise import fit, fit_in_steps
from .record import Result
from .retrieval import fit_retrieval
from .retrieval_steps import bpr_loss, bpr_step, in_batch_step, next_item_step
from .settings import Settings
from .tables import LazyAdam, RowwiseAdagrad
from .trees import fit_trees

__all__ = [
    "FTRL",
    "LazyAdam",
    "Result",
    "RowwiseAdagrad",
    "Settings",
    "Steps",
    "Task",
    "bpr",
    "bpr_loss",
    "bpr_step",
    "draw_negatives",
    "epoch_rows",
    "fit",
    "fit_in_steps",
    "fit_ranking",
    "fit_retrieval",
    "fit_trees",
    "in_batch_softmax",
    "in_batch_step",
    "next_item_step",
    "seed_everything",
    "tower_optimizer",
    "wide_deep_optimizers",
]
