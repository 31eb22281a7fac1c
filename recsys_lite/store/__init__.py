"""What is committed: results, weights, the lists of chapters and systems, and the files that they lie in.

``files``, ``chapters`` and ``predictions`` know no model, so every wing may use them; ``trained*`` stand above the
models, ``programs`` above those.
"""

from .._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        ".chapters": "CHAPTERS",
        ".files": "RESULTS WEIGHTS load_results read_json read_tensors weights_path write_json write_tensors",
        ".predictions": "load_predictions save_predictions",
        ".programs": "export",
        ".trained": "fingerprint load_model save_model",
        ".trained_retrievers": "RETRIEVERS best_setting load_retriever save_retriever",
    },
)
