"""Finding the vectors with the largest product with a query: all looked at, or an index that looks at some."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..store.files import read_pair, read_tensors, save_tensors, write_pair

KINDS = ("hnsw", "ivf")


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an approximate index needs faiss, part of the extra recsys-lite[retrieval]. "
            "From a clone of the repository: pip install -e '.[retrieval]'; ExactIndex needs nothing"
        ) from error


def _checked(vectors: Tensor, what: str) -> Tensor:
    """(N, D) finite float32."""
    if vectors.dim() != 2 or not vectors.numel():
        raise ValueError(f"index: expected {what} of shape (N, D), not empty, got {tuple(vectors.shape)}")
    if not vectors.isfinite().all():
        raise ValueError(f"index: {what} hold values that are not finite")
    return vectors.detach().cpu().float().contiguous()


class ExactIndex:
    """Looks at every vector: one product of matrices and the k largest of each row.

    Args:
        vectors: (I, D), the place of a vector is its item's number. Vectors of length 1 make products cosines.
            They and the queries may lie on any device; the index keeps them and searches on the CPU.

    Raises:
        ValueError: for vectors of another shape, or not finite.

    Example:
        >>> ExactIndex(torch.eye(3)).search(torch.tensor([[0.0, 2.0, 1.0]]), k=2)
        (tensor([[2., 1.]]), tensor([[1, 2]]))
    """

    kind = "exact"

    def __init__(self, vectors: Tensor):
        self.vectors = _checked(vectors, "vectors")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """D."""
        return self.vectors.shape[1]

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """(B, D) queries -> scores (B, k), the largest first, and item numbers (B, k).

        Raises:
            ValueError: for queries of another width, or k outside 1 to I.
        """
        found = (_query(queries, k, self) @ self.vectors.T).topk(k, 1)
        return found.values, found.indices

    def save(self, path: str | Path) -> None:
        """Write ``<path>.index`` and ``<path>.json``, see :func:`load_index`."""
        _save(Path(path), self, {}, lambda p: save_tensors(p, {"vectors": self.vectors}))


class FaissIndex:
    """Looks at some vectors: a graph of neighbours (HNSW) or the nearest of many cells (IVF). The product decides.

    Args:
        vectors: (I, D), as for :class:`ExactIndex`.
        kind: ``hnsw`` (default) or ``ivf``.
        neighbours: of HNSW, links of a vector. Default 32 (faiss).
        build_effort: of HNSW, efConstruction: candidates looked at when a vector is linked. Default 40 (faiss).
        cells: of IVF. Default 0: the square root of the number of vectors, rounded.
        effort: how much a search looks at; it may be changed later. HNSW: efSearch, length of the list of candidates,
            default 16 (faiss). IVF: nprobe, cells looked into, default 1 (faiss).

    Where a search meets fewer than k vectors, the rest is item -1 with score -inf.

    Raises:
        ValueError: for vectors of another shape or not finite, an unknown kind, or settings out of range.
        ModuleNotFoundError: without faiss.

    Source: Malkov and Yashunin, HNSW, TPAMI 2020; Johnson et al., Billion-scale similarity search with GPUs, 2019.
    Derived in the chapter *Two towers*.
    """

    def __init__(
        self, vectors: Tensor, kind: str = "hnsw", *, neighbours: int = 32, build_effort: int = 40, cells: int = 0,
        effort: int = 0,
    ):  # fmt: skip
        if kind not in KINDS:
            raise ValueError(f"FaissIndex: kind must be one of {KINDS}, got {kind!r}")
        array = _checked(vectors, "vectors").numpy()
        count, dim = array.shape
        cells = cells or max(round(count**0.5), 1)
        if neighbours < 2 or build_effort < 1 or effort < 0 or not 1 <= cells <= count:
            got = f"{neighbours=}, {build_effort=}, {cells=}, {effort=}"
            raise ValueError(f"FaissIndex: settings out of range for {count} vectors: {got}")
        faiss = _faiss()
        self.kind = kind
        if kind == "hnsw":
            self.index = faiss.IndexHNSWFlat(dim, neighbours, faiss.METRIC_INNER_PRODUCT)
            self.index.hnsw.efConstruction = build_effort
        else:
            self.index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
            self.index.cp.min_points_per_centroid = 1  # few vectors are no mistake here
            self.index.train(array)
        self.index.add(array)
        self.effort = effort or (16 if kind == "hnsw" else 1)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.index.d)

    @property
    def effort(self) -> int:
        """efSearch of HNSW, nprobe of IVF."""
        return int(self.index.hnsw.efSearch if self.kind == "hnsw" else self.index.nprobe)

    @effort.setter
    def effort(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"FaissIndex: effort must be at least 1, got {value}")
        if self.kind == "hnsw":
            self.index.hnsw.efSearch = value
        else:
            self.index.nprobe = value

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As :meth:`ExactIndex.search`, but not always the same items."""
        scores, items = (torch.from_numpy(a) for a in self.index.search(_query(queries, k, self).numpy(), k))
        return scores.masked_fill(items < 0, -torch.inf), items

    def save(self, path: str | Path) -> None:
        """Write ``<path>.index`` and ``<path>.json``, see :func:`load_index`."""
        _save(Path(path), self, {"effort": self.effort}, lambda p: _faiss().write_index(self.index, str(p)))


Index = ExactIndex | FaissIndex


def load_index(path: str | Path) -> Index:
    """The index that ``save`` wrote, without the path's suffixes.

    Raises:
        ValueError: if a file is missing or damaged, or the two do not belong together.
    """
    path = Path(path)
    wanted = {"kind": str, "count": int, "dim": int, "similarity": str, "sha256": str}
    record, file = read_pair(path, ".index", wanted, "this does not describe an index")
    index: Index
    if record["kind"] == "exact":
        if "vectors" not in (tensors := read_tensors(file)):
            raise ValueError(f"{file.name} holds no vectors, but {path.name}.json says that it is an exact index")
        index = ExactIndex(tensors["vectors"])
    elif record["kind"] in KINDS:
        index = _of_faiss(file, record)
    else:
        raise ValueError(f"{path}.json: {record['kind']!r} is no known kind; there are {['exact', *KINDS]}")
    if (len(index), index.dim) != (record["count"], record["dim"]):
        raise ValueError(f"{path}: {(len(index), index.dim)} vectors and numbers, {path.name}.json says otherwise")
    return index


def _of_faiss(file: Path, record: dict[str, Any]) -> FaissIndex:
    """The index in a file of faiss, if it is of the kind that the record says."""
    index, faiss = FaissIndex.__new__(FaissIndex), _faiss()
    try:
        index.kind, index.index = record["kind"], faiss.read_index(str(file))
    except RuntimeError as error:
        raise ValueError(f"{file.name} is no file of faiss: {str(error).splitlines()[0]}") from error
    expected = faiss.IndexHNSW if record["kind"] == "hnsw" else faiss.IndexIVF
    if not isinstance(index.index, expected):
        got = type(index.index).__name__
        raise ValueError(f"{file.name} holds an {got}, but its record says that it is of the kind {record['kind']!r}")
    if not isinstance(effort := record.get("effort"), int):
        raise ValueError(f"{file.name}: its record has no effort, expected a whole number of at least 1")
    index.effort = effort
    return index


def _query(queries: Tensor, k: int, index: Index) -> Tensor:
    queries = _checked(queries, "queries")
    if queries.shape[1] != index.dim:
        raise ValueError(f"search: queries have {queries.shape[1]} numbers, the index {index.dim}")
    if not 1 <= k <= len(index):
        raise ValueError(f"search: k must be 1 to {len(index)}, got {k}")
    return queries


def _save(path: Path, index: Index, more: dict[str, Any], write: Callable[[Path], Any]) -> None:
    record = {"kind": index.kind, "count": len(index), "dim": index.dim, "similarity": "dot", **more}
    write_pair(path, ".index", write, record)
