"""Prepared folders: equal to the in-memory readers, resumed byte for byte, refused when anything is wrong, flat."""

import gzip
import json
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cost.prepare import KINDS, measure, usage, write_rows
from recsys_lite import data
from recsys_lite.data import criteo, prepare_columns, table
from recsys_lite.data import prepare as module
from recsys_lite.fields import HashedVocabulary
from recsys_lite.models import FM
from recsys_lite.training import fit, seed_everything

TENSORS = ("ids", "numeric", "label", "group")
prepare = partial(module.prepare, progress=False)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Criteo's sample as a folder, in chunks that divide neither its parts nor the blocks of its scales."""
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(criteo.SAMPLE, out, chunk=700)
    return out


@pytest.fixture
def text(tmp_path):
    """The first 120 lines of the sample."""
    file = tmp_path / "train.txt"
    file.write_bytes(b"".join(criteo.SAMPLE.read_bytes().splitlines(keepends=True)[:120]))
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_same(a, b):
    for part in ("train", "validation", "test"):
        for name in TENSORS:
            assert torch.equal(getattr(getattr(a, part), name), getattr(getattr(b, part), name)), (part, name)
    for f, g in zip(a.fields, b.fields, strict=True):
        assert (f.name, f.kind, f.size, f.transform, f.about) == (g.name, g.kind, g.size, g.transform, g.about)
        if f.kind == "categorical":
            assert f.vocabulary.values.tolist() == g.vocabulary.values.tolist()
            assert f.vocabulary.labels == g.vocabulary.labels


def write_csv(folder: Path, lines: list[str], name: str = "table.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


# --- the same as the readers in memory


def test_the_sample_is_the_same_tensor_for_tensor(prepared, criteo):
    opened = data.load(path=prepared, verify=True)
    assert_same(opened, criteo)
    assert opened.extras == criteo.extras and (opened.name, opened.task) == ("criteo", "click")
    record = criteo.decode(criteo.test, 3)
    assert torch.equal(opened.encode(record).ids, criteo.test[3].ids)
    assert not list(prepared.rglob("*progress*"))


def test_more_rows_than_a_block_have_the_same_scales(tmp_path):
    file = tmp_path / "train.txt"
    write_rows(file, 32_000, most=50)
    prepare(file, tmp_path / "out", chunk=9_000, min_count=3)
    got, want = data.load("prepared", path=tmp_path / "out"), data.load("criteo", path=file, min_count=3)
    assert_same(got, want)
    assert got.extras == want.extras


def test_packed_text_is_the_same(text, tmp_path):
    packed = tmp_path / "train.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    prepare(text, tmp_path / "plain")
    prepare(packed, tmp_path / "packed", chunk=17)
    assert_same(data.load(path=tmp_path / "plain"), data.load(path=tmp_path / "packed"))
    packed.write_bytes(gzip.compress(text.read_bytes())[:-200])
    with pytest.raises(ValueError, match="is damaged or cut off after line"):
        prepare(packed, tmp_path / "cut")


def test_training_gives_the_same_result(prepared, criteo):
    results = []
    for dataset in (criteo, data.load(path=prepared)):
        seed_everything(0)
        model = FM(dataset.fields, dim=4)
        results.append((fit(model, dataset, epochs=1, progress=False), model.state_dict()))
    (a, weights), (b, others) = results
    assert a.test == b.test and a.validation == b.validation
    assert all(torch.equal(weights[k], others[k]) for k in weights)


def test_a_csv_file_is_the_same_as_in_memory(tmp_path):
    file = tmp_path / "cafe.csv"
    frame = table.read(table.example(1000))
    frame = frame[frame["age"] != ""]  # an empty number is the median there, the mean here
    frame = frame.iloc[: len(frame) // 10 * 10]
    file.write_text(frame.to_csv(index=False))
    schema = {"day": "leave out", "weather": "categorical", "drink": "categorical", "age": "numeric", "taken": "label"}
    want = table.encode(frame, schema, split="file", name="cafe")
    mine = schema | {"day": "ignore", "age": {"kind": "numeric", "transform": "none"}}
    prepare(file, tmp_path / "out", schema=mine, train=0.6, validation=0.2, chunk=64)
    got = data.load(path=tmp_path / "out")
    assert (got.name, got.task) == (want.name, want.task)
    assert [(f.name, f.kind, f.size) for f in got.fields] == [(f.name, f.kind, f.size) for f in want.fields]
    for part in ("train", "validation", "test"):
        a, b = getattr(got, part), getattr(want, part)
        assert torch.equal(a.ids, b.ids) and torch.equal(a.label, b.label)
        torch.testing.assert_close(a.numeric, b.numeric)


def test_quotes_missing_values_groups_and_hashes(tmp_path):
    lines = ["click;site;city;price;user", '1;"a;b";x;;ann', "0;c;x;1e3;", "", "1;;y;-2;bob"]
    lines += ["0;c;z;0;ann"] * 7 + ["1;new;x;5;zoe"] * 2
    file = write_csv(tmp_path, lines)
    schema = {
        "user": "group", "site": {"kind": "categorical", "min_count": 1},
        "city": {"kind": "categorical", "hash": 5}, "price": "numeric", "click": "label",
    }  # fmt: skip
    manifest = prepare(file, tmp_path / "out", schema=schema, chunk=3, train=0.8)
    got = data.load(path=tmp_path / "out")
    assert manifest["rows"] == {"train": 9, "validation": 1, "test": 2}
    assert got.field("site").vocabulary.values.tolist() == ["", "a;b", "c"]
    assert got.train.ids[:3, 0].tolist() == [2, 3, 1] and got.test.ids[:, 0].tolist() == [0, 0]
    hashed = got.field("city").vocabulary
    assert isinstance(hashed, HashedVocabulary) and len(hashed) == 6
    assert got.train.ids[:3, 1].tolist() == hashed.encode(["x", "x", "y"]).tolist()
    assert got.train.group[:4].tolist() == [0, -1, 1, 0] and got.test.group.tolist() == [2, 2]
    x = criteo.log_transform(np.array([1e3, -2] + [0] * 6))  # of nine training rows the first is empty
    assert got.train.numeric[0, 0] == 0
    np.testing.assert_allclose(got.train.numeric[1:, 0], (x - x.mean()) / x.std(), rtol=1e-6)


def test_libfm(tmp_path):
    lines = [f"{(-1, 1)[k % 2]} {k % 3}:1 {10 + k % 2}:1.0 " for k in range(20)]
    prepare(write_csv(tmp_path, lines), tmp_path / "out", format="libfm", chunk=6)
    got = data.load(path=tmp_path / "out")
    assert [f.name for f in got.fields] == ["x1", "x2"] and got.field("x1").vocabulary.values.tolist() == [
        "0",
        "1",
        "2",
    ]
    assert got.train.ids[:4].tolist() == [[1, 1], [2, 2], [3, 1], [1, 2]]
    assert got.train.label[:4].tolist() == [0, 1, 0, 1]


def test_libsvm(tmp_path):
    lines = [f"{k % 2} 2:{k} # remark" if k % 2 else f"-1 1:0.5 3:{k}" for k in range(20)]
    prepare(write_csv(tmp_path, lines), tmp_path / "out", format="libsvm", features=3, chunk=6)
    got = data.load(path=tmp_path / "out")
    x = np.array([[0, k, 0] if k % 2 else [0.5, 0, k] for k in range(16)])
    np.testing.assert_allclose(got.train.numeric, (x - x.mean(0)) / x.std(0), rtol=1e-5)
    assert got.train.ids.shape == (16, 0) and got.train.label.tolist() == [0, 1] * 8


# --- files, not memory


def test_writing_into_a_tensor_leaves_the_file(prepared):
    before = (prepared / "ids.bin").read_bytes()
    data.load(path=prepared).train.ids[:] = 7
    assert (prepared / "ids.bin").read_bytes() == before
    assert data.load(path=prepared).train.ids.max() > 7


def test_a_folder_larger_than_memory_opens(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    rows = 10**10  # 1 TB of ids: a sparse file
    for name, said in manifest["tensors"].items():
        said["shape"][0], said["bytes"] = rows, said["bytes"] // 10_000 * rows
        with (tmp_path / "out" / f"{name}.bin").open("r+b") as file:
            file.truncate(said["bytes"])
    manifest["rows"]["test"] += rows - 10_000
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    huge, small = data.load(path=tmp_path / "out"), data.load(path=prepared)
    assert len(huge.test) == rows - 9_000
    assert torch.equal(huge.test[:1000].ids, small.test.ids) and not huge.test[-1].ids.any()
    assert torch.equal(next(huge.train.batches(100)).numeric, small.train.numeric[:100])


@pytest.mark.slow("prepares a million rows in processes of their own")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks, sizes = [], []
    for rows in (200_000, 800_000):
        write_rows(tmp_path / "train.txt", rows, most=1000)
        used, _ = usage("-m", "recsys_lite.data.prepare", str(tmp_path / "train.txt"), str(tmp_path / f"{rows}"))
        peaks.append(used["peak MB"])
        sizes.append(sum(p.stat().st_size for p in (tmp_path / f"{rows}").glob("*.bin")) / 2**20)
    assert sizes[1] - sizes[0] > 90
    assert peaks[1] - peaks[0] < 80, peaks


# --- interrupts


@pytest.mark.parametrize("before", [False, True], ids=["after a step is recorded", "before a step is recorded"])
def test_interrupted_at_every_step_it_is_the_same(text, tmp_path, monkeypatch, before):
    prepare(text, tmp_path / "whole", chunk=50)
    write, steps = module.write_json, []

    def interrupted(path, value):
        if before and len(steps) == 1:
            raise KeyboardInterrupt
        steps.append(path)
        write(path, value)
        if not before:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", interrupted)
    runs = 0
    while not (tmp_path / "out" / "manifest.json").exists():
        steps.clear()
        with suppress(KeyboardInterrupt):
            prepare(text, tmp_path / "out", chunk=50)
        runs += 1
        if not (tmp_path / "out" / "manifest.json").exists():
            with pytest.raises(ValueError, match="is not finished: run the same"):
                data.load(path=tmp_path / "out")
        assert runs < 50
    monkeypatch.undo()
    prepare(text, tmp_path / "out", chunk=50)
    assert runs > 30 and contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_half_written_files_are_written_again(text, tmp_path, monkeypatch):
    prepare(text, tmp_path / "whole", chunk=50)
    encode, calls = prepare_columns.encode, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(prepare_columns, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(text, tmp_path / "out", chunk=50)
    with (tmp_path / "out" / "ids.bin").open("r+b") as file:
        file.seek(60 * 26 * 4)
        file.write(b"\xff" * 300)
    (tmp_path / "out" / "chunks" / ".000001.parquet.1.part").write_bytes(b"half")
    prepare(text, tmp_path / "out", chunk=50)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_packed_text_goes_on_too_and_a_lost_chunk_is_named(text, tmp_path, monkeypatch):
    packed = tmp_path / "train.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    prepare(packed, tmp_path / "whole", chunk=50)
    write = module.write_json

    def interrupted(path, value):
        write(path, value)
        if value["read"] or value["rows"] == 100:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            prepare(packed, tmp_path / "out", chunk=50)
    monkeypatch.undo()
    chunk = tmp_path / "out" / "chunks" / "000001.parquet"
    kept = chunk.read_bytes()
    for damage in (kept[:-9], None):
        chunk.unlink() if damage is None else chunk.write_bytes(damage)
        with pytest.raises(ValueError, match=r"000001\.parquet is missing or damaged"):
            prepare(packed, tmp_path / "out", chunk=50)
    chunk.write_bytes(kept)
    prepare(packed, tmp_path / "out", chunk=50)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_finished_folder_is_left_as_it_is(text, tmp_path):
    manifest = prepare(text, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert prepare(text, tmp_path / "out") == manifest
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    with pytest.raises(ValueError, match="settings, columns 15, min_count: 2, not 5; take another"):
        prepare(text, tmp_path / "out", min_count=5)
    text.write_bytes(text.read_bytes()[:-300])
    with pytest.raises(ValueError, match="was made from another source, bytes: "):
        prepare(text, tmp_path / "out")
    with pytest.raises(ValueError, match=r"train\.txt, line \d+: expected 40 columns"):
        prepare(text, tmp_path / "out", fresh=True)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_text_that_grows_meanwhile_is_refused(text, tmp_path, monkeypatch):
    parse = module.text.parse

    def growing(file, *arguments):
        with file.open("ab") as more:
            more.write(b"\n")
        return parse(file, *arguments)

    monkeypatch.setattr(module.text, "parse", growing)
    with pytest.raises(ValueError, match=r"train\.txt changed while it was read"):
        prepare(text, tmp_path / "out")


# --- bad input


def edited(text: Path, line: int, column: int, cell: bytes | None) -> None:
    """A cell of the file exchanged, or (None) the line cut before it."""
    lines = text.read_bytes().splitlines(keepends=True)
    cells = lines[line - 1].rstrip(b"\n").split(b"\t")
    cells[column:] = [] if cell is None else [cell, *cells[column + 1 :]]
    lines[line - 1] = b"\t".join(cells) + b"\n"
    text.write_bytes(b"".join(lines))


@pytest.mark.parametrize(("column", "cell", "what"), [
    (30, None, "line 77: expected 40 columns, got 30"),
    (0, b"2", "line 77, column label: expected 0 or 1, got '2'"),
    (0, b"", "line 77, column label: expected 0 or 1, got ''"),
    (3, b"1.5", "line 77, column I3: expected a whole number, got '1.5'"),
    (3, b"nan", "line 77, column I3: expected a whole number, got 'nan'"),
    (20, b"123456789", "line 77, column C7: expected 8 hexadecimal digits or nothing, got '123456789'"),
    (20, "é".encode(), "line 77, column C7: expected 8 hexadecimal digits or nothing"),
    (20, b"\xff", "line 77: not UTF-8"),
    (20, b"a\0", "line 77: a byte 0"),
])  # fmt: skip
def test_a_bad_cell_is_named_by_its_line(text, tmp_path, column, cell, what):
    edited(text, 77, column, cell)
    with pytest.raises(ValueError, match=what):
        prepare(text, tmp_path / "out", chunk=50)
    with pytest.raises(ValueError, match="is not finished"):
        data.load(path=tmp_path / "out")


def test_empty_lines_count_as_lines(text, tmp_path):
    edited(text, 77, 0, b"2")
    text.write_bytes(b"\n\n" + text.read_bytes())
    with pytest.raises(ValueError, match="line 79, column label"):
        prepare(text, tmp_path / "out", chunk=50)


@pytest.mark.parametrize(("format", "line", "what"), [
    ("csv", "1,2", "line 12: expected 3 columns, got 2"),
    ("csv", '1,"2,3', "line 12: a quotation mark is not closed"),
    ("csv", "1,x,s", "line 12, column n: expected a number up to 1e.30, or nothing, got 'x'"),
    ("csv", "1,inf,s", "line 12, column n: expected a number"),
    ("csv", "3,1,s", "line 12, column y: expected 0 or 1, got '3'"),
    ("csv", f"1,1,{'s' * 101}", "line 12, column s: expected at most 100 bytes"),
    ("libfm", "1 1:1", "line 12: expected 3 columns, got 2"),
    ("libfm", "1 1:1 2:0.5", "line 12, column x2: expected index:1, got '2:0.5'"),
    ("libsvm", "1 1:1 4:1", "line 12: expected indices that rise, from 1 to 3, got 4 after 1"),
    ("libsvm", "1 0:1", "line 12: expected indices that rise, from 1 to 3, got 0 after 0"),
    ("libsvm", "1 2:a", "line 12: expected index:value, got '2:a'"),
    ("libsvm", "7 2:1", "line 12, column label: expected 0 or 1, got '7'"),
])  # fmt: skip
def test_a_bad_line_of_other_formats(tmp_path, format, line, what):
    good = {"csv": "1,2,s", "libfm": "1 1:1 2:1", "libsvm": "1 1:1 2:1"}[format]
    file = write_csv(tmp_path, (["y,n,s"] if format == "csv" else [good]) + [good] * 10 + [line, good])
    options = {"schema": {"y": "label", "n": "numeric", "s": "categorical"}} if format == "csv" else {}
    with pytest.raises(ValueError, match=what):
        prepare(file, tmp_path / "out", format=format, chunk=4, features=3 if format == "libsvm" else 0, **options)


@pytest.mark.parametrize(("schema", "what"), [
    ({"y": "label", "z": "numeric"}, "there is no column 'z'; there are"),
    ({"y": "label", "n": "number"}, "column 'n' needs a kind of"),
    ({"y": "label", "n": {"kind": "numeric", "hash": 3}}, "column 'n': a numeric column takes no 'hash'"),
    ({"y": "label", "s": {"kind": "categorical", "hash": -3}}, "column 's': expected min_count from 1, hash from 0"),
    ({"n": "numeric", "s": "categorical"}, "one column is the label and at most one the group; got 0 labels"),
    ({"y": "label", "n": "ignore"}, "no column is left"),
])  # fmt: skip
def test_a_bad_schema(tmp_path, schema, what):
    with pytest.raises(ValueError, match=what):
        prepare(write_csv(tmp_path, ["y,n,s"] + ["1,2,3"] * 20), tmp_path / "out", schema=schema)
    assert not (tmp_path / "out").exists()


def test_too_many_values_name_the_column_and_more_can_be_allowed(text, tmp_path):
    with pytest.raises(ValueError, match="column 'C3': more than 60 different values; hash it"):
        prepare(text, tmp_path / "out", most_values=60)
    prepare(text, tmp_path / "out")
    prepare(text, tmp_path / "hashed", most_values=1, hash=100)
    assert {f.size for f in data.load(path=tmp_path / "hashed").fields if f.kind == "categorical"} == {101}


def test_bad_settings_and_files(text, tmp_path):
    for options, what in (
        ({"format": "parquet"}, "unknown format 'parquet'"),
        ({"format": "csv"}, "format 'csv' needs a schema"),
        ({"train": 0.95}, "shares must leave rows"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"format": "libsvm"}, "libsvm: give features"),
    ):
        with pytest.raises(ValueError, match=what):
            prepare(text, tmp_path / "out", **options)
    with pytest.raises(ValueError, match="does not exist"):
        prepare(tmp_path / "none.txt", tmp_path / "out")
    (tmp_path / "few.txt").write_bytes(b"".join(text.read_bytes().splitlines(keepends=True)[:9]))
    with pytest.raises(ValueError, match=r"few.txt has 9 rows; at least 10"):
        prepare(tmp_path / "few.txt", tmp_path / "few")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        prepare(tmp_path / "empty.csv", tmp_path / "out", schema={"y": "label"})


@pytest.mark.parametrize("name", ["ids.bin", "numeric.bin", "label.bin", "vocabulary-016.npy"])
def test_a_file_of_the_wrong_size_or_hash(text, tmp_path, name):
    prepare(text, tmp_path / "out")
    file = tmp_path / "out" / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=f"{name}: expected {len(whole)} bytes, got {len(whole) - 1}"):
        data.load(path=tmp_path / "out")
    file.write_bytes(whole[:-4] + b"\1\2\3\4")
    with pytest.raises(ValueError, match=f"{name}: expected sha256"):
        data.load(path=tmp_path / "out", verify=True)
    file.unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        data.load(path=tmp_path / "out")


def test_a_folder_that_is_no_prepared_one(text, tmp_path):
    with pytest.raises(ValueError, match=r"has no manifest.json"):
        data.load(path=tmp_path)
    with pytest.raises(ValueError, match=r"give the folder that python -m recsys_lite.data.prepare wrote"):
        data.load()
    prepare(text, tmp_path / "out")
    with pytest.raises(ValueError, match="unknown task 'like'; there is 'click'"):
        data.load(path=tmp_path / "out", task="like")
    manifest = tmp_path / "out" / "manifest.json"
    said = json.loads(manifest.read_text())
    for wrong, what in (
        (json.dumps(said | {"version": 2}), "expected format version 1, got 2"),
        (json.dumps({k: v for k, v in said.items() if k != "tensors"}), "is damaged: it has no 'tensors'"),
        (manifest.read_text()[:500], "is not valid JSON"),
    ):
        manifest.write_text(wrong)
        with pytest.raises(ValueError, match=what):
            data.load(path=tmp_path / "out")


def test_the_command(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["prepare", str(text), str(tmp_path / "out"), "--min-count", "3"])
    module.main()
    assert capsys.readouterr().out == "120 rows: 96 train, 12 validation, 12 test\n"
    edited(text, 7, 0, b"x")
    monkeypatch.setattr("sys.argv", ["prepare", str(text), str(tmp_path / "other")])
    with pytest.raises(SystemExit):
        module.main()
    assert "train.txt, line 7, column label: expected 0 or 1, got 'x'" in capsys.readouterr().err


@pytest.mark.slow("starts a Python of its own")
def test_only_preparing_needs_pyarrow(prepared):
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from recsys_lite import data; print(len(data.load(path=sys.argv[1]).train))\n"
        "try: import recsys_lite.data.prepare\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    _, said = usage("-c", code, str(prepared))
    assert said == "8000\npreparing data needs pyarrow, part of the extra recsys-lite[prepare]\n"


@pytest.mark.slow("each run is a process of its own")
def test_the_bench_measures_each_kind_of_run(tmp_path):
    lines = list(measure(2_000, tmp_path, KINDS))
    assert [line["kind"] for line in lines] == KINDS
    assert all(line["rows"] == 2_000 and line["cpu seconds"] > 0 and line["peak MB"] > 0 for line in lines)
    assert lines[1]["open seconds"] > 0 and lines[0]["rows per cpu second"] > 0
