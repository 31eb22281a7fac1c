"""Stored files of a downloaded chapter: looked for in the package, then beside the notebook, else told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from recsys_lite import store
from recsys_lite.store import files

EVENTS: list[str] = []


def listen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "recsys_lite.stored":
        EVENTS.append(str(arguments[0]))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library without results, and a notebook's folder as the working directory."""
    (tmp_path / "package").mkdir()
    (tmp_path / "chapter").mkdir()
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(files, "RESULTS", tmp_path / "package" / "results")
    monkeypatch.chdir(tmp_path / "chapter")
    return tmp_path / "package"


def test_the_package_comes_first_then_the_folder_beside(package: Path, tmp_path: Path) -> None:
    wanted, beside = package / "results" / "a.json", tmp_path / "chapter" / files.BESIDE / "results" / "a.json"
    assert files.located(wanted) == wanted
    beside.parent.mkdir(parents=True)
    beside.write_text("1")
    assert files.located(wanted) == beside and store.read_json(wanted) == 1
    assert files.located(wanted.parent) == beside.parent
    wanted.parent.mkdir()
    wanted.write_text("2")
    assert files.located(wanted) == wanted and store.read_json(wanted) == 2
    assert files.located(tmp_path / "else.json") == tmp_path / "else.json"


def test_a_pair_is_read_from_beside(package: Path, tmp_path: Path) -> None:
    beside = tmp_path / "chapter" / files.BESIDE / "results" / "w"
    tensors = {"x": torch.ones(2)}
    files.write_pair(beside, ".safetensors", lambda p: files.save_tensors(p, tensors), {"model": "m"})
    record, file = files.read_pair(package / "results" / "w", ".safetensors", {"model": str}, "no record")
    assert record["model"] == "m" and file == beside.with_name("w.safetensors")
    assert store.read_tensors(package / "results" / "w.safetensors")["x"].tolist() == [1, 1]
    file.rename(beside.with_name(f"w.{record['sha256'][:16]}.safetensors"))  # where a stopped writer leaves it
    assert files.read_pair(package / "results" / "w", ".safetensors", {"model": str}, "no record")[1].exists()


def test_what_is_missing_is_told_with_the_download_that_has_it(package: Path, tmp_path: Path) -> None:
    for read, name in ((store.read_json, "no.json"), (store.read_tensors, "no.safetensors")):
        with pytest.raises(ValueError, match=f"{name} does not exist, nor does .*recsys-lite.zip, the download of all"):
            read(package / "results" / name)
        with pytest.raises(ValueError, match=f"{name} does not exist$"):
            read(tmp_path / name)  # a reader's own file
    (package / "results").mkdir()  # the whole library
    with pytest.raises(ValueError, match=r"no\.json does not exist$"):
        store.read_json(package / "results" / "no.json")


def test_what_is_asked_for_is_an_audit_event() -> None:
    sys.addaudithook(listen)  # hooks cannot be taken away again; this one stays cheap
    files.located(files.RESULTS / "speed.json").exists()
    files.located(Path("elsewhere.json"))
    assert EVENTS == [str(files.RESULTS / "speed.json")]
