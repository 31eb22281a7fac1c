"""Environments of the public libraries, and workers that answer line by line; see ``bench.cost.peers.protocol``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from recsys_lite.data.fetch import cache_folder

ROOT = Path(__file__).parents[2]
#: library -> its release, and what it needs; those that ``requirements.txt`` pins are taken as pinned there
PEERS: dict[str, tuple[str, list[str]]] = {
    "deepctr_torch": ("0.3.0", ["torch", "numpy", "scikit-learn", "tqdm"]),
    "fuxictr": (
        "2.3.10",
        ["torch", "numpy", "pandas", "PyYAML", "scikit-learn", "h5py", "tqdm", "pyarrow", "polars", "ray", "pydantic"],
    ),
    "torch_rechub": ("0.9.0", ["torch", "numpy", "pandas", "scikit-learn", "tqdm"]),
    "recbole": (
        "1.2.1",
        ["torch", "numpy", "scipy", "pandas", "scikit-learn", "tqdm", "PyYAML", "colorlog", "colorama", "tensorboard",
         "tabulate", "texttable", "psutil", "thop", "plotly"],
    ),
}  # fmt: skip

#: what our own package needs, so that ``bench.parity`` can run it beside a library
OURS = ["torch", "numpy", "pandas", "scipy", "scikit-learn", "safetensors", "pooch", "filelock", "tqdm"]


class WorkerError(RuntimeError):
    """What a worker or the installation of its library answered in the place of a result."""


def requirements(name: str) -> tuple[list[str], str]:
    """What a library and ours need, pinned where ``requirements.txt`` pins it, and the library itself.

    Example:
        >>> requirements("torch_rechub")[1]
        'torch-rechub==0.9.0'
    """
    pinned = {}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if "==" in line:
            pinned[line.partition("==")[0].lower()] = line.strip()
    version, needs = PEERS[name]
    every = [pinned.get(need.lower(), need) for need in dict.fromkeys([*needs, *OURS])]
    return every, f"{name.replace('_', '-')}=={version}"


def environment(name: str) -> Path:
    """The Python of a library's own environment in the cache folder, made where it is missing or of other releases.

    Raises:
        WorkerError: with pip's last words, if the library does not install.
    """
    folder = cache_folder() / "peers" / name.replace("_", "-")
    python, done = folder / "bin" / "python", folder / "installed.json"
    needs, itself = requirements(name)
    if done.exists() and json.loads(done.read_text()) == [*needs, itself]:
        return python
    print(f"{itself}: making its environment in {folder}", file=sys.stderr)
    if not python.exists():
        venv.create(folder, with_pip=True, symlinks=True, clear=True)
    for what in (needs, ["--no-deps", itself]):
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            raise WorkerError(f"pip: {' '.join(ran.stderr.split()[-30:])}")
    done.write_text(json.dumps([*needs, itself]))
    return python


class Worker(AbstractContextManager["Worker"]):
    """A process of one library that has at most one model at a time.

    Args:
        name: a module of ``bench.cost.peers``.

    Raises:
        WorkerError: if the library does not install or import.
    """

    def __init__(self, name: str):
        python = str(environment(name)) if name in PEERS else sys.executable
        command = [python, "-m", f"bench.cost.peers.{name}"]
        pipe, on_cpu = subprocess.PIPE, os.environ | {"CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=on_cpu, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.torch = self._read()["torch"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # some libraries greet when they are imported
                return json.loads(line)
        raise WorkerError(f"the worker ended with code {self.process.wait()}")

    def ask(self, **command: Any) -> dict[str, Any]:
        """The answer to a command.

        Raises:
            WorkerError: for an error in the worker.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"the worker ended with code {self.process.wait()}") from None
        answer = self._read()
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()  # the worker's loop ends with its input
        self.process.wait()
