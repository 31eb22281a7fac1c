"""A downloaded chapter runs anywhere: notebook, wheel and the stored files that it reads, in one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import downloads  # noqa: E402
import fresh  # noqa: E402
import stamp  # noqa: E402
import stored  # noqa: E402
from chapters import by_tag, chapters, notebook_path, read  # noqa: E402

pytestmark = pytest.mark.slow("packs the library with its weights, installs it")
MOST = 4_000_000  # bytes of a chapter's archive
MOST_OF_ALL = 30_000_000
SCORES_ALL = {"leaderboard"}  # every stored model, 20 MB of weights
SLUGS = [c["slug"] for c in chapters()]
QUICK = "comparison"  # the chapter that is run from its archive; it reads results, not weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("downloads")
    downloads.write_downloads(made)
    return made


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without the library."""
    place = tmp_path_factory.mktemp("away")
    return fresh.environment(place / "environment", fresh.third_party(place / "packages"))


def run(python: Path, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(python.parents[2]), "PIP_NO_INDEX": "1", "RECSYS_LITE_STATIC": "1"}
    env |= {key: os.environ[key] for key in ("XDG_CACHE_HOME",) if key in os.environ}
    return subprocess.run([python, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


def setup_code(slug: str) -> str:
    (cell,) = by_tag(nbformat.read(notebook_path(slug), as_version=4), "setup")
    return cell.source


def test_an_archive_holds_notebooks_wheel_and_the_listed_files_once(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    listed = read("stored.json")
    for name, inside in [*((slug, [slug]) for slug in SLUGS), (downloads.ALL, SLUGS)]:
        with zipfile.ZipFile(folder / f"{name}.zip") as archive:
            names = archive.namelist()
            found = {n.removeprefix(f"{name}/stored/") for n in names if n.startswith(f"{name}/stored/")}
            assert len(set(names)) == len(names)
            assert set(names) - {f"{name}/stored/{n}" for n in found} == {
                f"{name}/{wheel.name}", *(f"{name}/{slug}.ipynb" for slug in inside)
            }  # fmt: skip
            assert {n.rpartition(".")[0] for n in found if "NOTICE" not in n} == {f for s in inside for f in listed[s]}
            assert archive.read(f"{name}/{inside[0]}.ipynb") == notebook_path(inside[0]).read_bytes()
        most = MOST_OF_ALL if len(inside) > 1 or inside[0] in SCORES_ALL else MOST
        assert (folder / f"{name}.zip").stat().st_size <= most, name


def test_weights_come_with_their_record_and_data_with_their_notice() -> None:
    names = {p.name for p in stored.files(read("stored.json")["dlrm"])}
    assert {"criteo-sample.click.dlrm.safetensors", "criteo-sample.click.dlrm.json", "leaderboard.json"} <= names
    assert {"criteo_sample_10k.txt", "NOTICE.md"} <= names
    with pytest.raises(ValueError, match="there is no store/results/no"):
        stored.files(["store/results/no"])


def test_the_wheel_is_code_only_and_always_the_same(folder: Path, tmp_path: Path) -> None:
    (path,) = folder.glob("*.whl")
    assert downloads.write_wheel(tmp_path).read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        (record,) = (name for name in wheel.namelist() if name.endswith("/RECORD"))
        listed = [line.split(",")[0] for line in wheel.read(record).decode().splitlines()]
    assert sorted(listed) == sorted(wheel.namelist())
    assert "recsys_lite/py.typed" in listed and "recsys_lite/store/chapters.json" in listed
    assert not [name for name in listed if name.startswith(("recsys_lite/store/results", "recsys_lite/data/samples"))]


def test_the_list_is_of_all_chapters() -> None:
    """That it says what they read is held by their run in ``make test``, see ``tools/fresh.py``."""
    assert sorted(read("stored.json")) == sorted(SLUGS)


def test_a_chapter_runs_from_an_empty_folder_and_a_second_one_in_the_same_environment(
    folder: Path, python: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(folder / f"{QUICK}.zip").extractall(tmp_path)
    cells = nbformat.read(tmp_path / QUICK / f"{QUICK}.ipynb", as_version=4).cells
    code = "\n\n".join(c.source for c in cells if c.cell_type == "code")
    assert setup_code(QUICK) == stamp.setup(stamp.site(), "plots") and setup_code(QUICK) in code
    done = run(python, f"{stored.WATCH}\n\n{code}\n\nprint(recsys_lite.__file__)", tmp_path / QUICK)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line.startswith("Processing") for line in lines) and any("Successfully" in line for line in lines)
    assert lines[-1].startswith(str(python.parents[1]))

    second = "factorization_machines"  # its weights and its sample come with it
    zipfile.ZipFile(folder / f"{second}.zip").extractall(tmp_path)
    code = """
from recsys_lite import data, store
criteo = data.load("criteo-sample")
print(type(store.load_model(store.weights_path("criteo-sample", "click", "fm"), criteo.fields)).__name__)
"""
    done = run(python, setup_code(second) + code, tmp_path / second)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Processing" not in done.stdout and done.stdout.splitlines()[-1] == "FM"


def test_what_a_download_has_not_is_said_with_the_place_that_has_it(folder: Path, python: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(folder / "dhen_training.zip").extractall(tmp_path)
    code = """
from recsys_lite import data, store
for missing in (
    lambda: store.read_json(store.RESULTS / "leaderboard.json"),
    lambda: store.load_model(store.weights_path("movielens-100k", "click", "fm")),
    lambda: data.load("criteo-sample"),
):
    try:
        missing()
    except ValueError as error:
        print("ERROR", error)
"""
    done = run(python, setup_code("dhen_training") + code, tmp_path / "dhen_training")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert len(told) == 3 and all("recsys-lite.zip, the download of all chapters" in line for line in told), told
    assert "leaderboard.json" in told[0] and "click.fm.json" in told[1] and "criteo_sample_10k.txt" in told[2]


def test_what_a_run_reads_is_seen(python: Path, tmp_path: Path) -> None:
    """Files that are opened, and those whose existence decides what is computed."""
    code = f"""
{stored.WATCH}
from pathlib import Path
import recsys_lite
from recsys_lite import data, store
from recsys_lite.store.files import located
criteo = data.load("criteo-sample")
store.load_model(store.weights_path("criteo-sample", "click", "logistic_regression"), criteo.fields)
(store.RESULTS / "speed.json").read_text()  # not by way of the store
located(store.RESULTS / "ncf.json").exists()
located(store.RESULTS / "no.json").exists()
{stored.FOUND}
import json
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = "store/results"
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "data/samples/criteo/criteo_sample_10k", f"{results}/ncf", f"{results}/speed",
        f"{results}/weights/criteo-sample.click.logistic_regression",
    ]  # fmt: skip
