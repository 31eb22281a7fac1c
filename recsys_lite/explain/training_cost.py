"""What it costs to train on tables that are larger than one machine: memory, bytes moved, time of a step; formulas."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

#: optimiser of the tables -> numbers that it keeps for a row of d numbers
STATE = {
    "sgd": lambda d: 0,
    "rowwise_adagrad": lambda d: 1,
    "adagrad": lambda d: d,
    "lazy_adam": lambda d: 2 * d,
    "adam": lambda d: 2 * d,
}
NUMBER, ID = 4, 8  # bytes of a float32 and of an id


@dataclass(frozen=True, kw_only=True)
class Training:
    r"""Data-parallel networks over tables whose rows are shared out evenly among N machines.

    Args:
        rows: V, rows of all tables together.
        dim: d, numbers in a row.
        machines: N.
        batch: B, rows of data that each machine reads in a step.
        fields: C, look-ups for a row of data.
        parameters: P, numbers in the networks, which every machine has.
        flops: of the networks for one row of data forward and backward, see :func:`network_flops`.
        optimizer: of the tables, one of :data:`STATE`; the networks have Adam.
        distinct: share of a batch's look-ups that are different rows, in (0, 1]. Default 1, the dearest case: a row
            that comes up twice is then sent twice.

    Raises:
        ValueError: for an unknown optimiser or a number out of range.

    Example:
        >>> t = Training(rows=10**10, dim=16, machines=64, batch=4096, fields=26, parameters=600_000, flops=4e6)
        >>> round(t.memory()["total"] / 1e9, 1)  # GB a machine: rows, one more number for each, the networks
        10.6
    """

    rows: int
    dim: int
    machines: int
    batch: int
    fields: int
    parameters: int = 0
    flops: float = 0.0
    optimizer: str = "rowwise_adagrad"
    distinct: float = 1.0

    def __post_init__(self) -> None:
        if self.optimizer not in STATE:
            raise ValueError(f"Training: unknown optimizer {self.optimizer!r}; there are {list(STATE)}")
        if min(self.rows, self.dim, self.machines, self.batch, self.fields) < 1:
            raise ValueError(f"Training: rows, dim, machines, batch and fields must be at least 1, got {self}")
        if self.parameters < 0 or self.flops < 0 or not 0 < self.distinct <= 1:
            raise ValueError(f"Training: parameters and flops must be at least 0, distinct in (0, 1], got {self}")

    @property
    def look_ups(self) -> float:
        """Different rows of the tables that one machine's rows of data read in a step."""
        return self.batch * self.fields * self.distinct

    def memory(self) -> dict[str, float]:
        r"""Bytes on one machine: ``tables``, ``state`` of their optimiser, ``gradients``, ``networks``, ``total``.

        .. math:: \tfrac VN \cdot 4d, \qquad \tfrac VN \cdot 4s, \qquad 16 P

        with s numbers of state a row. Dense Adam has a gradient for every row; all others for the rows that were read,
        of which each machine owns 1/N of those of all N machines.
        """
        shard = self.rows / self.machines
        parts = {
            "tables": NUMBER * shard * self.dim,
            "state": NUMBER * shard * STATE[self.optimizer](self.dim),
            "gradients": NUMBER * self.dim * (shard if self.optimizer == "adam" else min(self.look_ups, shard)),
            "networks": NUMBER * 4.0 * self.parameters,
        }
        return parts | {"total": sum(parts.values())}

    def traffic(self) -> dict[str, float]:
        r"""Bytes that one machine sends in a step: ``ids``, ``vectors``, ``gradients``, ``networks``, ``total``.

        .. math:: \tfrac{N-1}{N} B C \cdot 8, \qquad \tfrac{N-1}{N} B C \cdot 4d \ \text{(twice)}, \qquad
            2 \tfrac{N-1}{N} \cdot 4P

        All-to-all: ids go to the owners of the rows, vectors come back, their gradients go there. The networks'
        gradients are added up by a ring all-reduce. Of what goes to N machines in equal parts, 1/N stays.
        """
        away = (self.machines - 1) / self.machines
        parts = {
            "ids": away * ID * self.look_ups,
            "vectors": away * NUMBER * self.dim * self.look_ups,
            "gradients": away * NUMBER * self.dim * self.look_ups,
            "networks": 2 * away * NUMBER * self.parameters,
        }
        return parts | {"total": sum(parts.values())}

    def touched(self) -> float:
        """Bytes of its own memory that one machine reads or writes for the tables in a step.

        The look-up reads a row and writes a copy, its gradient is written and read. An optimiser reads and writes the
        row and its state: of every row of the shard for Adam, whose gradient is filled with zeros before, otherwise of
        the rows that were read.
        """
        d, shard = self.dim, self.rows / self.machines
        updated = shard if self.optimizer == "adam" else min(self.look_ups, shard)
        gradient = (2 if self.optimizer == "adam" else 1) * d
        return NUMBER * (4 * d * self.look_ups + updated * (gradient + 2 * d + 2 * STATE[self.optimizer](d)))

    def seconds(self, speed: float, memory: float, network: float, latency: float = 0.0) -> dict[str, float]:
        """An estimate of a step: ``networks``, ``tables``, ``communication`` and their ``total``, nothing overlapped.

        Args:
            speed: FLOP/s that the networks reach on one machine; measure it, data sheets promise more.
            memory: bytes per second of the machine's memory for rows of tables.
            network: bytes per second that a machine sends while it receives as many.
            latency: seconds of each of the four collectives.

        Raises:
            ValueError: for a rate that is not above 0.
        """
        if min(speed, memory, network) <= 0 or latency < 0:
            raise ValueError(f"seconds: rates must be above 0, got {speed=}, {memory=}, {network=}, {latency=}")
        collectives = 4 * latency if self.machines > 1 else 0.0
        parts = {
            "networks": self.batch * self.flops / speed,
            "tables": self.touched() / memory,
            "communication": self.traffic()["total"] / network + collectives,
        }
        return parts | {"total": sum(parts.values())}


def network_flops(*widths: int) -> float:
    """FLOPs of linear layers for one row, forward and backward: two for each weight, three times.

    Example:
        >>> network_flops(624, 400, 1)
        1500000.0
    """
    return 6.0 * sum(a * b for a, b in pairwise(widths))


def by_machines(training: Training, machines: list[int], **rates: float) -> pd.DataFrame:
    """One line for each number of machines and optimiser: gigabytes a machine, megabytes sent, milliseconds, rows/s.

    Args:
        training: its ``machines`` and ``optimizer`` are replaced.
        machines: numbers of machines.
        rates: see :meth:`Training.seconds`.
    """
    lines = []
    for count in machines:
        for optimizer in STATE:
            t = Training(**{**training.__dict__, "machines": count, "optimizer": optimizer})
            step = t.seconds(**rates)
            lines.append({
                "machines": count, "optimizer": optimizer, "gigabytes": t.memory()["total"] / 1e9,
                "megabytes_sent": t.traffic()["total"] / 1e6, **{f"{k}_ms": 1000 * v for k, v in step.items()},
                "rows_per_second": count * t.batch / step["total"],
            })  # fmt: skip
    return pd.DataFrame(lines)
