"""Text files of pairs: ids of any size, pairs that come twice, bytes that are no text, and the choice of validation."""

import pytest
import torch

from recsys_lite.data.interactions import load_lightgcn_files
from recsys_lite.data.leave_one_out import load_ncf_files
from recsys_lite.evaluation import evaluate_retrieval
from recsys_lite.models import EASE, LightGCN
from recsys_lite.training import bpr_step, fit_retrieval


def lightgcn(folder, train, test):
    for name, text in (("train.txt", train), ("test.txt", test)):
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def ncf(folder, train, test="0\t3\t5\t9\n", negative="(0,3)\t7\t8\n"):
    for kind, text in (("train.rating", train), ("test.rating", test), ("test.negative", negative)):
        (folder / f"x.{kind}").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_raw_ids_are_numbered_and_kept(tmp_path):
    big = 9_223_372_036_854_775_807
    files = lightgcn(tmp_path, f"1000014754 463510256 {big}\n1000020295 463510256 7\n", "1000014754 7\n")
    data = load_lightgcn_files(files, validation="none")
    assert data.users.tolist() == [1000014754, 1000020295] and data.items.tolist() == [7, 463510256, big]
    assert sorted(data.train.tolist()) == [[0, 1], [0, 2], [1, 0], [1, 1]] and data.test.tolist() == [[0, 0]]
    assert data.query_fields[0].vocabulary.encode([1000020295]).tolist() == [2] and data.title(2) == str(big)
    train = f"{big}\t40\t5\t1\n{big}\t10\t5\t2\n9\t{big}\t1\t1\n9\t10\t1\t2\n"
    files = ncf(tmp_path, train, f"9\t40\t1\t1\n{big}\t20\t1\t1\n", f"(9,40)\t5\n({big},20)\t{big}\n")
    data = load_ncf_files(files, "x")
    assert data.users.tolist() == [9, big] and data.items.tolist() == [5, 10, 20, 40, big]
    assert data.train.tolist() == [[0, 4], [1, 3]] and data.validation.tolist() == [1, 1]
    assert data.test.tolist() == [3, 2] and data.negatives.tolist() == [[0], [4]]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (b"0 1\n1 \xff 2\n", "train.txt, line 2: byte 7 of the file is not UTF-8"),
        ("0 1 2\n".encode("utf-16"), "train.txt, line 1: byte 1 of the file is not UTF-8"),
        ("0 1\n0 2é\n", "train.txt, line 2: got '2é', expected whole numbers of at least 0"),
        (f"0 1\n1 {2**63}\n", "train.txt, line 2: got '9223372036854775808', expected at most 9,223"),
        ("0 " + "9" * 5000, "train.txt, line 1: got '9{40}', expected at most"),
    ],
)
def test_bytes_and_numbers_that_cannot_be_read_are_named(tmp_path, train, message):
    with pytest.raises(ValueError, match=message):
        load_lightgcn_files(lightgcn(tmp_path, train, "0 5\n"))
    if isinstance(train, bytes):
        with pytest.raises(ValueError, match=message.replace("train.txt", "x.train.rating")):
            load_ncf_files(ncf(tmp_path, train), "x")


def test_a_training_pair_that_comes_again_counts_once(tmp_path):
    data = load_ncf_files(ncf(tmp_path, "0\t1\t5\t1\n0\t2\t5\t2\n0\t2\t5\t3\n"), "x")
    assert data.items[data.train[:, 1].numpy()].tolist() == [1] and data.items[data.validation.numpy()].tolist() == [2]
    data = load_ncf_files(ncf(tmp_path, "0\t1\t5\t1\n0\t2\t5\t2\n0\t1\t5\t3\n"), "x")
    assert data.items[data.train[:, 1].numpy()].tolist() == [2] and data.items[data.validation.numpy()].tolist() == [1]


def test_a_negative_that_is_known_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x.test.negative, line 1: 1 is a negative, but user 0 has it in x.train.rat"):
        load_ncf_files(ncf(tmp_path, "0\t1\t5\t1\n0\t2\t5\t2\n", negative="(0,3)\t8\t1\n"), "x")


def test_all_may_be_trained_on(tmp_path):
    files = lightgcn(tmp_path, "0 1 2 3\n1 2 3 4\n2 4 1\n", "0 4\n1 1\n")
    tenth, none, test = (load_lightgcn_files(files, validation=v) for v in ("tenth", "none", "test"))
    assert len(tenth.train) + len(tenth.validation) == len(none.train) == len(test.train) == 8
    assert not len(none.validation) and torch.equal(test.validation, test.test)
    assert evaluate_retrieval(EASE(none), none)["recall@20"] == 1
    with pytest.raises(ValueError, match="has no validation part to stop by"):
        fit_retrieval(LightGCN(none), none, bpr_step(none), progress=False)
    with pytest.raises(ValueError, match="validation must be one of"):
        load_lightgcn_files(files, validation="half")
