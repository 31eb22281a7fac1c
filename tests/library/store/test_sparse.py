"""A tensor that is mostly zero is stored by what is not, and read back the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recsys_lite.store.files import read_tensors, write_tensors
from recsys_lite.store.sparse import SMALLEST, packed, unpacked


def some(share: float, *shape: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=g) * (torch.rand(*shape, generator=g) < share)


@pytest.mark.parametrize("shape", [(SMALLEST,), (SMALLEST + 3, 1), (3, 5, SMALLEST // 8)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.49, 0.6, 1.0])
def test_a_tensor_comes_back_as_it_was(tmp_path: Path, shape: tuple[int, ...], share: float) -> None:
    given = {"table": some(share, *shape), "bias": torch.zeros(3), "count": torch.tensor(7)}
    path = tmp_path / "a.safetensors"
    write_tensors(path, given)
    read = read_tensors(path)
    assert read.keys() == given.keys()
    assert all(torch.equal(read[k], given[k]) and read[k].dtype == given[k].dtype for k in given)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_any_type_and_what_is_not_finite(dtype: torch.dtype) -> None:
    table = (some(0.1, SMALLEST) * 10).to(dtype)
    if dtype.is_floating_point:
        table[5] = float("nan")
    back = unpacked(packed({"table": table}))["table"]
    assert back.dtype == dtype and torch.equal(back.nan_to_num(), table.nan_to_num())
    assert not dtype.is_floating_point or back[5].isnan()


def test_it_takes_the_room_of_what_is_not_zero(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {"table": some(0.1, 2**20)})
    assert (tmp_path / "a").stat().st_size < 2**20 * (0.1 * 4 + 1 / 8) * 1.05
    assert packed({"table": some(0.1, SMALLEST - 1)}).keys() == {"table"}


@pytest.mark.parametrize("lost", ["#values", "#shape"])
def test_parts_that_do_not_fit_are_told(lost: str) -> None:
    parts = packed({"table": some(0.1, SMALLEST)})
    with pytest.raises(ValueError, match="table is not whole: its values or its shape are missing"):
        unpacked({k: v for k, v in parts.items() if not k.endswith(lost)})
    with pytest.raises(ValueError, match="table is not whole: 1 values"):
        unpacked(parts | {"table#values": torch.ones(1)})
    with pytest.raises(ValueError, match="table is not whole"):
        unpacked(parts | {"table#shape": torch.tensor([SMALLEST * 2])})
    with pytest.raises(ValueError, match="may not be called 'table#bits'"):
        packed({"table#bits": torch.zeros(1)})
