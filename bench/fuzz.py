"""Ten thousand spoilt inputs to everything that reads: only documented errors, none slow, none large.

    python -m bench.fuzz                                  all targets; writes results/fuzz.json
    python -m bench.fuzz --targets "csv table" --inputs 50
    python -m bench.fuzz --show "csv table" 17            input number 17 of a target, and what came of it

Each target has small inputs that are right. An input is one of them, spoilt one to eight times: bits turned, pieces
cut, doubled, exchanged, or a hostile text put in (numbers that overflow, lone quotes, control and foreign letters,
markup).
An input is fine if it is taken or refused by a documented error. It is a fault if another error comes, if it takes more
than 5 seconds of the processor, or if memory grows by more than 1 GB. Inputs depend on the seed, the target and the
number only.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import resource
import sys
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from bench.fuzz_targets import TARGETS, Target
from recsys_lite.data.fetch import DataUnavailable
from recsys_lite.store import RESULTS, write_json

FILE = RESULTS / "fuzz.json"
INPUTS, SEED = 10_000, 0
DOCUMENTED = (ValueError, DataUnavailable)
SLOW, LARGE = 5.0, 1e9  # seconds of the processor, bytes
HOSTILE = [text.encode() for text in (
    "", " ", "\n", "\r\n", "\t", ",", ";", "|", "::", '"', '""', "'", "\\", "\0", "\x1b[31m", "\ufeff", "\u202e", "é",
    "😀", "nan", "NaN", "inf", "-inf", "1e308", "1e309", "-1e39", "1e-320", "-0", "0x10", "1_000", "٣", "²", "9" * 25,
    "9" * 5000, "2147483648", "-1", "1.5", "null", "None",
    "[]", "{}", "true", "<b>x</b>", "![p](http://example.org)", "$$", "=1+1",
    "../../etc", "%00", "label", "bias", "a" * 2000, '{"a":' * 200,
)] + [b"\xff\xfe", b"\x80", b"\xc3\x28", b"\x1f\x8b"]  # fmt: skip


def spoilt(parts: Sequence[bytes], rng: np.random.Generator) -> list[bytes]:
    """The parts of a right input (files, or cells) with one to eight changes, few more often than many."""
    out = [bytearray(part) for part in parts]
    for _ in range(min(int(rng.geometric(0.5)), 8)):
        part = out[rng.integers(len(out))]
        at = int(rng.integers(len(part) + 1))
        end = min(at + int(rng.geometric(0.1)), len(part))
        kind = rng.choice(6, p=[0.2, 0.2, 0.05, 0.1, 0.15, 0.3])
        if kind == 0 and part:  # a bit
            k = rng.integers(len(part))
            part[k] ^= 1 << int(rng.integers(8))
        elif kind == 1:  # cut out
            del part[at:end]
        elif kind == 2:  # cut off
            del part[end if rng.integers(2) else at :]
        elif kind == 3:  # double
            part[at:at] = part[at : at + 300]
        elif kind == 4:  # a piece of another part
            other = out[rng.integers(len(out))]
            k = int(rng.integers(len(other) + 1))
            part[at:end] = other[k : k + 50]
        else:
            part[at : end if rng.integers(2) else at] = HOSTILE[rng.integers(len(HOSTILE))]
    return [bytes(part) for part in out]


@functools.cache
def right(target: Target) -> Sequence[Sequence[bytes]]:
    """The right inputs of a target, made once."""
    return target.right()


def made(target: Target, name: str, number: int, seed: int = SEED) -> list[bytes]:
    """Input number ``number`` of a target."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    rights = right(target)
    return spoilt(rights[int(rng.integers(len(rights)))], rng)


def outcome(target: Target, parts: list[bytes], folder: Path) -> tuple[str, str, float, int]:
    """What comes of an input: ``taken``, ``refused`` or ``fault``; the error; seconds; bytes that memory grew by."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(parts, folder)
        word, error = "taken", ""
    except DOCUMENTED as wrong:
        word, error = "refused", f"{type(wrong).__name__}: {str(wrong)[:200]}"
    except Exception as wrong:  # what nobody documented
        word, error = "fault", f"{type(wrong).__name__}: {str(wrong)[:200]}"
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if seconds > SLOW or grown > LARGE:
        word, error = "fault", f"{error or 'taken'}: {seconds:.1f} s, {grown / 1e6:.0f} MB"
    return word, error, seconds, grown


def run(names: Sequence[str], inputs: int, seed: int = SEED) -> dict[str, Any]:
    """All inputs of all targets: a line per target, and every fault with its number."""
    each, lines, faults = -(-inputs // len(TARGETS)), [], []
    with tqdm(total=each * len(names), unit="input") as bar, TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for name in names:
            target, words, slowest = TARGETS[name], Counter[str](), 0.0
            for number in range(each):
                folder = Path(scratch) / f"{zlib.crc32(name.encode())}-{number}"
                folder.mkdir()
                word, error, seconds, _ = outcome(target, made(target, name, number, seed), folder)
                words[word] += 1
                slowest = max(slowest, seconds)
                if word == "fault":
                    faults.append({"target": name, "number": number, "error": error})
                bar.update()
            told = {word: words[word] for word in ("taken", "refused", "fault")}
            lines.append({"target": name, "inputs": each, **told, "slowest": round(slowest, 2)})
    return {"about": {"seed": seed, "inputs": each * len(names)}, "targets": lines, "faults": faults}


def show(name: str, number: int) -> None:
    """An input and what came of it, for whoever mends it."""
    parts = made(TARGETS[name], name, number)
    for part in parts:
        print(repr(part[:3000]))
    with TemporaryDirectory() as folder:
        TARGETS[name].read(parts, Path(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of all targets together")
    parser.add_argument("--show", nargs=2, metavar=("TARGET", "NUMBER"))
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if asked.show:
        show(asked.show[0], int(asked.show[1]))
        return 0
    found = run(asked.targets, asked.inputs)
    if set(asked.targets) == set(TARGETS):
        write_json(FILE, found)
    for line in found["targets"]:
        print(", ".join(f"{key} {value}" for key, value in line.items()))
    for fault in found["faults"]:
        print(f"FAULT {fault['target']} {fault['number']}: {fault['error']}")
    return int(bool(found["faults"]))


if __name__ == "__main__":
    sys.exit(main())
