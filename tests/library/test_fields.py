"""Records in and out of tensors, and what is said of bad ones."""

import dataclasses

import numpy as np
import pytest
import torch
from structures import SIDES
from tiny import FIELDS, dataset, filled, rows

from recsys_lite.fields import Dataset, Field, HashedVocabulary, Rows, Vocabulary, concatenate
from recsys_lite.models import FM, MODELS

GOOD = {"user": "u1", "item": "i2", "price": 1.5, "genres": ["a", "c"], "history": ["i5"]}


def test_a_record_comes_back_as_it_went_in():
    data = dataset()
    assert data.decode(data.encode(GOOD)) == GOOD
    for i in range(20):
        row = data.decode(data.test, i)
        once = {**row, "genres": list(dict.fromkeys(row["genres"]))}  # a set holds a value once
        assert data.decode(data.encode(row)) == once


def test_unseen_values_map_to_the_reserved_row():
    encoded = dataset().encode(GOOD | {"user": "nobody", "genres": ["a", "zzz"]})
    assert encoded.ids[0].tolist() == [0, 3] and encoded.bags["genres"][0].tolist() == [1, 0, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price": "cheap"}, r"record 0, field 'price': expected a number, got 'cheap'"),
        ({"price": float("nan")}, r"field 'price': expected a finite number"),
        ({"price": True}, r"field 'price': expected a number, got True"),
        ({"genres": "a"}, r"field 'genres': expected a list of values, got 'a'"),
        ({"user": ["u1"]}, r"field 'user': expected one value"),
        ({"user": None}, r"field 'user': expected one value, got None"),
        ({"colour": "red"}, r"record 0: unknown field 'colour'; this data set has"),
    ],
)
def test_a_bad_record_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        dataset().encode(GOOD | change)


def test_a_missing_field_and_an_empty_list_are_named():
    with pytest.raises(ValueError, match="record 1: field 'item' is missing"):
        dataset().encode([GOOD, {k: v for k, v in GOOD.items() if k != "item"}])
    with pytest.raises(ValueError, match="no records"):
        dataset().encode([])
    with pytest.raises(ValueError, match="expected a mapping"):
        dataset().encode([["u1"]])


def test_nan_labels_and_numbers_are_refused():
    bad = rows(10)
    bad.label[3] = float("nan")
    with pytest.raises(ValueError, match="'tiny', validation: labels are missing or NaN"):
        Dataset("tiny", "x", FIELDS, rows(5), bad, rows(5))
    bad = rows(10)
    bad.label[3] = 0.5
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        Dataset("tiny", "x", FIELDS, rows(5), bad, rows(5))
    bad = rows(10)
    bad.numeric[0, 0] = float("nan")
    with pytest.raises(ValueError, match="the number of 'price' is NaN"):
        Dataset("tiny", "x", FIELDS, rows(5), rows(5), bad)


def test_columns_that_do_not_fit_the_fields_are_refused():
    with pytest.raises(ValueError, match="expected 1 categorical"):
        Dataset("tiny", "x", FIELDS[1:], rows(5), rows(5), rows(5))
    with pytest.raises(ValueError, match="expected bags"):
        Dataset("tiny", "x", FIELDS[:4], rows(5), rows(5), rows(5))
    with pytest.raises(ValueError, match="names repeat"):
        Dataset("tiny", "x", (FIELDS[0], FIELDS[0]), rows(5), rows(5), rows(5))


def test_select_keeps_the_right_columns():
    data = dataset()
    small = data.select(["item", "genres"])
    assert small.train.ids.tolist() == data.train.ids[:, 1:].tolist() and list(small.train.bags) == ["genres"]
    alone = data.drop("item")  # a history whose item is gone owns its table
    assert alone.field("history").table == "history"
    with pytest.raises(ValueError, match="unknown field 'nope'; there are"):
        data.drop("nope")


def test_rows_slice_and_batch_without_loss():
    data = rows(23)
    assert torch.equal(concatenate(list(data.batches(5))).ids, data.ids)
    g = torch.Generator().manual_seed(1)
    shuffled = concatenate(list(data.batches(5, generator=g)))
    assert not torch.equal(shuffled.ids, data.ids) and sorted(shuffled.ids[:, 0]) == sorted(data.ids[:, 0])
    assert len(data[-1]) == 1 and torch.equal(data[-1].ids, data.ids[-1:])
    with pytest.raises(IndexError, match="row 23 of 23"):
        data[23]
    with pytest.raises(ValueError, match="batch size"):
        next(data.batches(0))
    assert isinstance(data.to("cpu"), Rows)


def test_vocabulary_reserves_row_zero_and_sorts():
    v = Vocabulary(["b", "a"], {"a": "Alpha"})
    assert v.encode(["a", "b", "c"]).tolist() == [1, 2, 0]
    assert (v.label(1), v.label(2), v.label(0)) == ("Alpha", "b", "<unseen>")
    assert Vocabulary([]).encode(["x"]).tolist() == [0]
    assert Vocabulary(np.array([10, 2])).encode([2, 3]).tolist() == [1, 0]
    with pytest.raises(ValueError, match="1 duplicate"):
        Vocabulary(["a", "a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "colour"), "unknown kind 'colour'"),
        (("x", "categorical"), "needs a vocabulary"),
        (("x", "numeric", Vocabulary(["a"])), "has no vocabulary"),
        (("x", "categorical", Vocabulary(["a"]), 3), "length 3 does not fit"),
    ],
)
def test_a_field_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        Field(*arguments)


def test_a_program_takes_rows_of_any_number(tmp_path):
    model = filled(FM(FIELDS))
    free = {0: torch.export.Dim("batch", min=1)}
    shapes = ([free, free, {"genres": free, "history": free}, free, free],)  # as the fields of Rows
    program = torch.export.export(model, (rows(3),), dynamic_shapes=shapes, strict=False)
    program.example_inputs = None  # else they are written as a pickle
    torch.export.save(program, tmp_path / "fm.pt2")
    run = torch.export.load(tmp_path / "fm.pt2").module()
    for count in (1, 2, 7):
        torch.testing.assert_close(run(rows(count, seed=1)), model(rows(count, seed=1)))


def test_values_that_are_known_to_be_sorted_are_taken_as_they_are():
    values = np.array(["a", "b"])
    known = Vocabulary.of_sorted(values, {"a": "one"})
    assert known.values is values and len(known) == 3 and known.label(1) == "one"
    assert known.encode(["b", "c", "a"]).tolist() == [2, 0, 1]


def test_a_hash_needs_no_values_and_never_gives_the_reserved_row():
    hashed = HashedVocabulary(7)
    rows = hashed.encode([str(k) for k in range(1000)])
    assert rows.min() == 1 and rows.max() == 7 and np.bincount(rows)[1:].min() > 100
    assert hashed.encode([5]) == hashed.encode(["5"]) and hashed.values.tolist() == [f"#{k}" for k in range(1, 8)]
    assert hashed.decode(0) == "<unseen>" and hashed.decode(7) == "#7" and hashed.encode([]).tolist() == []
    with pytest.raises(ValueError, match="expected at least one bucket, got 0"):
        HashedVocabulary(0)


def test_rows_that_were_checked_before_are_not_read_again():
    wrong = Rows(torch.zeros(2, 0, dtype=torch.int32), torch.full((2, 1), torch.nan), {}, torch.full((2,), 3.0))
    fields = (Field("n", "numeric"),)
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        Dataset("d", "t", fields, wrong, wrong, wrong)
    assert Dataset("d", "t", fields, wrong, wrong, wrong, checked=True).select(["n"]).checked
    with pytest.raises(ValueError, match="expected 0 categorical and 1 numeric"):
        Dataset("d", "t", fields, Rows(wrong.ids, wrong.numeric[:, :0], {}, wrong.label), wrong, wrong, checked=True)


def test_what_is_shown_of_data_and_models_fits_a_screen():
    data = dataset(50_000)
    many = Dataset(
        "wide", "t", tuple(Field(f"n{k}", "numeric") for k in range(300)),
        *[Rows(torch.zeros(2, 0, dtype=torch.int32), torch.zeros(2, 300), {}, torch.zeros(2))] * 3,
    )  # fmt: skip
    long = Vocabulary([f"{'x' * 500}{k}" for k in range(5000)])
    for thing in (
        data,
        many,
        data.train,
        data.train[:1],
        long,
        Field("f", "categorical", long),
        FM(FIELDS),
        FM(many.fields),
    ):
        lines = repr(thing).splitlines()
        assert len(lines) <= 40 and max(map(len, lines)) <= 300, repr(thing)[:400]
    assert repr(data).splitlines()[0] == "Dataset('tiny', task 'parity': 50,000 train, 200 validation, 200 test rows)"
    assert repr(many).splitlines()[-1] == "  … and 280 more fields"
    assert repr(data.train) == (
        "Rows(50,000 rows, ids (50000, 2), numeric (50000, 1), bags genres (50000, 3), history (50000, 4), "
        "label and group)"
    )
    assert (
        repr(Vocabulary(["b", "a"])) == "Vocabulary(2 values: 'a', 'b')"
        and repr(Vocabulary([])) == "Vocabulary(0 values)"
    )
    assert repr(HashedVocabulary(1000)) == "HashedVocabulary(1,000 buckets)"
    assert repr(Field("n", "numeric", scale=(1.5, 2.0), fill=1.0)) == "Field('n', numeric, mean 1.5, sd 2, missing 1)"
    assert "fields: user, item, price, genres, history" in repr(FM(FIELDS, dim=3)) and "dim=3" in repr(
        FM(FIELDS, dim=3)
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"ids": r.ids[:, :1]}, r"expected 2 categorical columns \(user, item\), got 1"),
        (lambda r: {"ids": r.ids[:, [0, 1, 0]]}, r"expected 2 categorical columns \(user, item\), got 3"),
        (
            lambda r: {"bags": {"genres": r.bags["history"], "history": r.bags["genres"]}},
            "a bag of 3 values of 'genres'",
        ),
        (lambda r: {"bags": {"genres": r.bags["genres"]}}, "a bag of 4 values of 'history', got none"),
        (lambda r: {"numeric": r.numeric[:, [0, 0]]}, r"expected 1 numeric columns \(price\), got 2|shapes|\(B, 65\)"),
    ],
)
def test_rows_of_other_columns_are_refused_by_every_model(name, change, message):
    """They would be read as those of other fields: one column of ids as two, a bag's last value as the next bag's."""
    model = MODELS[name](FIELDS, **(SIDES if name in ("two_towers", "split_network") else {}))
    other = dataclasses.replace(rows(4), **change(rows(4)))
    if name == "ncf" and "categorical" not in message:
        assert model(other).shape == (4,)  # it reads two fields by name, and nothing else
        return
    with pytest.raises((ValueError, RuntimeError), match=message):
        model(other)


def test_a_bag_of_another_width_is_no_part_of_a_data_set():
    fine = rows(4)
    wide = dataclasses.replace(fine, bags={**fine.bags, "genres": fine.bags["genres"][:, [0, 1, 2, 2]]})
    with pytest.raises(ValueError, match="'d', train: expected a bag of 3 values of 'genres', got one of 4"):
        Dataset("d", "t", FIELDS, wide, fine, fine)
