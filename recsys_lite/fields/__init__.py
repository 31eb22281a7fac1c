"""What a column is: the one contract between data and models.

A *field* is a column of the data as a person names it (``gender``, ``genres``, ``I7``). A *vocabulary* gives every
raw value of a categorical column a row number in an embedding table. *Rows* are the encoded examples: a few
contiguous tensors that can be sliced, batched and fed to any model. Models see fields and rows and nothing else.
"""

from .cells import Finding, TableError
from .column import PADDING, UNSEEN, Field, HashedVocabulary, Kind, Vocabulary, choose_fields, find_field, part_name
from .dataset import Dataset
from .encoder import Encoder
from .rows import Rows, check_columns, choose_columns, concatenate, pad, swap

__all__ = [
    "PADDING",
    "UNSEEN",
    "Dataset",
    "Encoder",
    "Field",
    "Finding",
    "HashedVocabulary",
    "Kind",
    "Rows",
    "TableError",
    "Vocabulary",
    "check_columns",
    "choose_columns",
    "choose_fields",
    "concatenate",
    "find_field",
    "pad",
    "part_name",
    "swap",
]
