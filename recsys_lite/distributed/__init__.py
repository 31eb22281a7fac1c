"""Any ranking model in several processes: ``fit`` within ``processes``, or ``torchrun -m recsys_lite.distributed``.

By hand, to be read: DLRM with whole tables for each process, DHEN under FSDP2, and the runs that show them equal.
"""

from .._lazy import lazy

# DTensor and DDP take a second to import
__getattr__, __dir__ = lazy(__name__, {".engine": "fit gathered predict", ".processes": "processes"})
