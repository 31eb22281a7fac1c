"""Frappe: the protocol on a made-up file, promises on the published one where it is at hand, errors with places."""

import os
import zipfile

import numpy as np
import pytest
import torch

from recsys_lite import data
from recsys_lite.data import fetch, frappe
from recsys_lite.evaluation import counter_auc

PARTS = ("train", "validation", "test")
CONTEXT = tuple(name for name in frappe.FIELDS if name != "item")
AT_HAND = os.environ.get("RECSYS_LITE_FRAPPE") or frappe._cached()
published = pytest.mark.skipif(not AT_HAND, reason="needs Mobile_Frappe.zip in the cache or RECSYS_LITE_FRAPPE")


def log(user, item, cnt=1, day="monday", country="Spain"):
    return "\t".join(map(str, (user, item, cnt, "noon", day, "workday", "home", "free", "sunny", country, 0)))


def app(item, name):
    return "\t".join((str(item), "com.x", "Tools", "1", "X", "http", "en", 'a "quoted text', name, "Free", "4.5", "s"))


@pytest.fixture
def folder(tmp_path):
    """20 logs of two users and six apps: user 3 uses apps 0 to 3, user 5 uses apps 2 to 5, on five days each."""
    days = ("monday", "tuesday", "wednesday", "thursday", "friday")
    logs = [log(u, first + k % 4, 100 - k, days[k % 5]) for u, first in ((3, 0), (5, 2)) for k in range(10)]
    (tmp_path / "frappe.csv").write_text("\n".join(["\t".join(frappe.HEADER), *logs]) + "\n")
    apps = [app(k, "unknown" if k == 4 else f"App {k}") for k in (5, 0, 1, 2, 3, 4)]
    (tmp_path / "meta.csv").write_text("\n".join(["\t".join(frappe.META), *apps]) + "\n")
    return tmp_path


def load(path, **options):
    return data.load("frappe", path=path, verify=False, **options)


def decode(dataset, part):
    return [dataset.decode(part, i) | {"label": part.label[i].item()} for i in range(len(part))]


def used(rows):
    return {(r["user"], r["item"]) for r in rows if r["label"] == 1}


def test_logs_keep_their_negatives_and_these_know_nothing_of_later_parts(folder):
    d = load(folder)
    assert [len(getattr(d, p)) for p in PARTS] == [42, 12, 6]  # 7:2:1 of 20 logs, three rows each
    apps = {"3": {"0", "1", "2", "3"}, "5": {"2", "3", "4", "5"}}
    past, open_pairs = set(), set()
    for part in PARTS:
        rows = decode(d, getattr(d, part))
        past |= used(rows)
        for k, row in enumerate(rows):
            assert row["label"] == (k % 3 == 0)
            assert {**row, "item": 0, "label": 0} == {**rows[k - k % 3], "item": 0, "label": 0}  # only the app differs
            if row["label"] == 0:
                assert (row["user"], row["item"]) not in past
                open_pairs |= {(row["user"], row["item"])}
    assert past == {(u, i) for u, items in apps.items() for i in items}
    some = [load(folder, seed=s) for s in range(20)]
    spared = [
        {(r["user"], r["item"]) for r in decode(d, d.train) if r["label"] == 0} & used(decode(d, d.test)) for d in some
    ]
    assert any(spared)  # an app that is used first in the test part may be a negative of training
    assert any(not torch.equal(some[0].train.ids, d.train.ids) for d in some[1:])


def test_the_published_protocol_spares_all_apps_of_a_user_draws_none_twice_and_splits_rows(folder):
    (folder / "meta.csv").unlink()
    with (folder / "frappe.csv").open("a") as file:  # 30 users more, each with an app of its own
        file.writelines(log(10 + k, 10 + k) + "\n" for k in range(30))
    d = load(folder, protocol="published")
    assert [len(getattr(d, p)) for p in PARTS] == [105, 30, 15]  # 7:2:1 of 150 rows
    rows = [r for p in PARTS for r in decode(d, getattr(d, p)) if "<unseen>" not in (r["user"], r["item"])]
    negatives = [(r["user"], r["item"]) for r in rows if r["label"] == 0]
    assert not used(rows) & set(negatives) and len(set(negatives)) == len(negatives)
    assert sum(getattr(d, p).label.sum().item() for p in PARTS) == 50
    assert "betrays" in d.about["split"] and "none twice" in d.about["negatives"]
    assert d.train.label.tolist() != [1.0, 0.0, 0.0] * 35  # row by row


def test_fields_names_and_groups(folder):
    d = load(folder)
    assert [f.name for f in d.fields] == frappe.FIELDS and "cnt" not in frappe.FIELDS
    assert {f.kind for f in d.fields} == {"categorical"} and (d.name, d.task) == ("frappe", "click")
    assert set(d.train.group.tolist()) == {3, 5} and d.train.group.dtype == torch.int32
    items = d.field("item").vocabulary
    assert [items.label(k) for k in range(1, 7)] == ["App 0", "App 1", "App 2", "App 3", "app 4", "App 5"]
    assert d.extras["items"]["popularity"].sum() == 14 and list(d.extras["items"].index) == list("012345")
    (folder / "meta.csv").unlink()
    plain = load(folder)
    assert torch.equal(plain.train.ids, d.train.ids) and plain.field("item").vocabulary.label(1) == "0"


def test_what_only_later_parts_show_is_unseen(folder):
    text = (folder / "frappe.csv").read_text().splitlines()
    text[1:] = [log(u, i, country=f"C{k}") for k, (u, i) in enumerate((k % 2, k % 4) for k in range(20))]
    (folder / "frappe.csv").write_text("\n".join(text))
    d = load(folder)
    assert d.field("country").size == 15  # of 14 logs, and the reserved row
    column = frappe.FIELDS.index("country")
    assert (d.train.ids > 0).all() and (d.test.ids[:, column] == 0).all() and (d.validation.ids[:, column] == 0).all()


def test_logs_that_repeat_are_kept_and_counted(folder):
    with (folder / "frappe.csv").open("a") as file:
        file.write(log(3, 0, 7) + "\n")  # as the first log, but for cnt
    d = load(folder)
    assert sum(len(getattr(d, p)) for p in PARTS) == 63
    assert d.about["logs"] == "21, of 2 users and 6 apps; 1 equal an earlier one in all fields"


def test_zip_folder_and_environment_give_the_same(folder, tmp_path, monkeypatch):
    d = load(folder)
    place = tmp_path / "kept"
    place.mkdir()
    with zipfile.ZipFile(place / "Mobile_Frappe.zip", "w") as archive:
        for name in frappe.HASHES:
            archive.write(folder / name, f"Mobile_Frappe/frappe/{name}")
    inner = tmp_path / "unzipped" / "Mobile_Frappe" / "frappe"
    inner.mkdir(parents=True)
    for name in frappe.HASHES:
        (inner / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setenv("RECSYS_LITE_FRAPPE", str(folder))
    for path in (place, place / "Mobile_Frappe.zip", tmp_path / "unzipped", None):
        again = load(path)
        assert torch.equal(again.test.ids, d.test.ids) and again.about["data_sha256"] == d.about["data_sha256"]


def test_another_file_than_the_published_one_is_refused(folder):
    with pytest.raises(ValueError, match=r"frappe\.csv: wrong hash, expected sha256 409edc12.*verify=False"):
        data.load("frappe", path=folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("frappe.csv", "user\t", "who\t", "frappe.csv: expected the header user, item, cnt, .*got who, item"),
        ("frappe.csv", "3\t0\t100\t", "3\t0\t", r"frappe.csv, row 1: expected 11 columns \(user, item.*got 10"),
        ("frappe.csv", "3\t1\t99", "u3\t1\t99", "frappe.csv, row 2: user is 'u3', expected a whole number"),
        ("frappe.csv", "3\t1\t99", "3\t1.5\t99", "frappe.csv, row 2: item is '1.5', expected a whole number"),
        ("frappe.csv", "3\t1\t99", "3\t77\t99", "frappe.csv: item '77' is not in meta.csv"),
        ("frappe.csv", "99\tnoon", "99\t", "frappe.csv, row 2: daytime is empty"),
        ("meta.csv", "category", "kind", "meta.csv: expected the header item, package, category"),
        ("meta.csv", "\tFree", "", "meta.csv, row 1: expected 12 columns"),
        ("meta.csv", "\n0\t", "\n5\t", "meta.csv: item '5' occurs twice"),
    ],
)
def test_damaged_files_are_named(folder, file, old, new, message):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_bytes_that_are_no_text_are_named(folder):
    (folder / "frappe.csv").write_bytes((folder / "frappe.csv").read_bytes().replace(b"Spain", b"Espa\xf1a", 1))
    with pytest.raises(ValueError, match=r"frappe\.csv, line 2: byte 0xf1 is not utf-8"):
        load(folder)


def test_what_cannot_be_used_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match="frappe: unknown protocol 'closed'"):
        load(folder, protocol="closed")
    with pytest.raises(ValueError, match="frappe: unknown task 'like'"):
        data.load("frappe", task="like", path=folder)
    with pytest.raises(data.DataUnavailable, match=r"does not exist; expected Mobile_Frappe\.zip"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(data.DataUnavailable, match=r"holds no frappe\.csv"):
        load(tmp_path / "empty")
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"a\.zip is damaged or no zip file"):
        load(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("other.csv", "")
    with pytest.raises(data.DataUnavailable, match=r"b\.zip holds no frappe\.csv"):
        load(tmp_path / "b.zip")
    (folder / "meta.csv").unlink()
    (folder / "frappe.csv").write_text("\n".join(["\t".join(frappe.HEADER), *(log(1, k) for k in range(10))]))
    with pytest.raises(ValueError, match="user number 1 has all but 0 items: no 20 different negatives"):
        load(folder, protocol="published")


def test_without_network_the_error_says_what_was_tried_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("RECSYS_LITE_FRAPPE", raising=False)
    monkeypatch.setattr(frappe, "ADDRESS", "http://127.0.0.1:9/Mobile_Frappe.zip")  # nothing listens there
    with pytest.raises(data.DataUnavailable, match=r"CARSKit repository.*refused[^$]*RECSYS_LITE_FRAPPE"):
        data.load("frappe")


def test_the_cached_zip_is_used_only_with_its_hash(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path))
    monkeypatch.delenv("RECSYS_LITE_FRAPPE", raising=False)
    monkeypatch.setattr(frappe, "ADDRESS", "http://127.0.0.1:9/Mobile_Frappe.zip")
    with zipfile.ZipFile(tmp_path / "Mobile_Frappe.zip", "w") as archive:
        archive.write(folder / "frappe.csv", "Mobile_Frappe/frappe/frappe.csv")
    with pytest.raises(data.DataUnavailable):
        load(None)
    monkeypatch.setattr(frappe, "ZIP_HASH", fetch.sha256((tmp_path / "Mobile_Frappe.zip").read_bytes()))
    monkeypatch.setattr(fetch, "retrieve", None)  # must not be needed
    assert len(load(None).train) == 42


@published
@pytest.mark.slow("reads 96,203 logs")
def test_the_published_files():
    d = data.load("frappe", path=AT_HAND)
    assert [len(getattr(d, p)) for p in PARTS] == [202_029, 57_720, 28_860]
    assert sum(len(getattr(d, p)) for p in PARTS) == 288_609
    assert all(getattr(d, p).label.mean().item() == pytest.approx(1 / 3) for p in PARTS)
    assert d.about["logs"] == "96203, of 957 users and 4082 apps; 8 equal an earlier one in all fields"
    assert (d.train.ids > 0).all() and d.field("item").size == 4083
    assert d.extras["items"].loc["5", "title"] == "WhatsApp Messenger"
    again, rows = data.load("frappe", path=AT_HAND), data.load("frappe", path=AT_HAND, protocol="published")
    assert torch.equal(again.train.ids, d.train.ids) and torch.equal(again.test.label, d.test.label)
    assert [len(getattr(rows, p)) for p in PARTS] == [202_027, 57_722, 28_860]  # as in the files of the authors


@published
@pytest.mark.slow("loads the published logs four times")
def test_the_counter_of_negatives_sees_that_only_the_published_protocol_leaks():
    loaded = [data.load("frappe", path=AT_HAND, seed=seed) for seed in range(3)]
    assert np.mean([counter_auc(d) for d in loaded]) == pytest.approx(0.5, abs=0.01)
    assert all(counter_auc(d, CONTEXT) == 0.5 for d in loaded)
    leaks = data.load("frappe", path=AT_HAND, protocol="published")
    assert counter_auc(leaks, CONTEXT) < 0.36
