"""The one loop and what each kind of training adds to it: batches, loss, metrics. Knows no architecture's inside.

Not here: small trainings that a reader watches (``lab``), more than one process (``distributed``).
"""

from .leave_one_out import fit_ranking
from .loop import Steps, Task, seed_everything
from .pointwise import fit, fit_in_steps
from .record import Result
from .retrieval import fit_retrieval
from .retrieval_steps import bpr_loss, bpr_step, in_batch_step, next_item_step
from .settings import Settings
from .trees import fit_trees

__all__ = [
    "Result",
    "Settings",
    "Steps",
    "Task",
    "bpr_loss",
    "bpr_step",
    "fit",
    "fit_in_steps",
    "fit_ranking",
    "fit_retrieval",
    "fit_trees",
    "in_batch_step",
    "next_item_step",
    "seed_everything",
]
