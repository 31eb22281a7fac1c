"""Tables of training speed: ratios within rounds by hand, and that the stored record is whole."""

import pytest

from recsys_lite.explain import speed


def run(model, system, optimizer, part, *seconds):
    return {"model": model, "system": system, "optimizer": optimizer, "part": part, "seconds": list(seconds)}


RECORD = {
    "runs": [
        run("fm", "ours", "adam", "step", 1.0, 4.0, 2.0),
        run("fm", "minimum", "adam", "step", 1.0, 2.0, 2.0),
        run("fm", "minimum", "adam", "products", 0.5, 1.0, 0.2),
        run("fm", "peer", "adam", "step", 3.0, 8.0, 8.0),
        run("fm", "slow_peer", "adam", "step", 9.0, 40.0, 30.0),
        run("gdcn", "ours", "adam", "step", 1.0, 1.0, 1.0),
    ],
    "growth": [
        {"axis": "rows", "optimizer": "adam", "size": 1000, "rows": 1000, "seconds": [0.004, 0.001, 0.002]},
    ],
}  # fmt: skip


def test_a_ratio_is_taken_within_its_round():
    table = speed.ratios(RECORD, "step").set_index(["model", "system"])
    peer = table.loc[("fm", "peer")]
    assert (peer["ratio"], peer["low"], peer["high"]) == (3.0, 2.5, 3.5)  # of 3, 2 and 4
    assert peer["ms"] == 8000  # the ratio of the medians would be 4
    assert (table.loc[("fm", "ours"), ["ratio", "low", "high"]] == 1).all()


def test_the_fastest_peer_is_no_system_of_ours():
    fastest = speed.fastest_peer(speed.ratios(RECORD, "step"))
    assert fastest[["model", "system"]].to_numpy().tolist() == [["fm", "peer"]]


def test_the_share_of_the_products():
    table = speed.product_share(RECORD)
    assert table.to_dict("records") == [{"model": "fm", "share": 0.25, "bound": 4.0}]  # of 0.5, 0.25 and 0.1


def test_growth_is_per_row():
    assert speed.growth(RECORD, "rows")["microseconds"].tolist() == [2.0]


def test_what_was_not_measured_is_refused():
    for call in (lambda: speed.ratios(RECORD, "epoch"), lambda: speed.growth(RECORD, "dim")):
        with pytest.raises(ValueError, match="was not measured"):
            call()
    with pytest.raises(ValueError, match="none of"):
        speed.round_ratios({"a": [1.0]}, "b")
    with pytest.raises(ValueError, match="as many rounds"):
        speed.round_ratios({"a": [1.0], "b": []}, "a")


def test_the_cost_model_stands_beside_two_processes():
    about = {"categorical": 2, "dim": 4, "batch": 10}
    each = {"seconds": [0.3, 0.2, 0.4], "rows": 50, "sent": {"embeddings": 160, "gradients of embeddings": 160}}
    line = {"processes": 2, "parameters": 25, "flops": 100.0, "each": [each, each]}
    record = {"about": about, "runs": [run("dlrm", "minimum", "adam", "products", 0.1)], "processes": [line]}
    out = speed.predicted(record, memory=1e5, network=1e4).iloc[0]
    # networks 0.1 s; 50 rows of 4 numbers in Adam, 8 of each, and 20 look-ups, 4 of each; 80 + 160 + 160 + 100 bytes
    assert out["predicted_ms"] == pytest.approx(1000 * (0.1 + 4 * (8 * 4 * 50 + 4 * 4 * 20) / 1e5 + 500 / 1e4))
    assert out["measured_ms"] == pytest.approx(300)
    assert (out["predicted_mb"], out["sent_mb"]) == pytest.approx((420e-6, 320e-6))


def test_the_stored_record_is_whole():
    record = speed.stored()
    measured = {(r["model"], r["system"], r["optimizer"], r["part"]) for r in record["runs"]}
    rankers = {m for m, *_ in measured} - {"lightgcn"}
    assert rankers == {"fm", "wide_deep", "deepfm", "dcn", "dcn_v2", "dlrm", "autoint", "gdcn", "dhen"}
    for part in ("step", "epoch", "score"):
        expected = {(m, s, o, part) for m in rankers for s in ("ours", "minimum") for o in ("adam", "lazy_adam")}
        assert expected <= measured
        fastest = speed.fastest_peer(speed.ratios(record, part))
        assert set(fastest["model"]) == rankers - {"gdcn", "dhen"} | {"lightgcn"}
    assert {m for m, _, _, part in measured if part == "products"} == rankers
    rounds = {"epoch": record["about"]["epoch rounds"]}
    assert all(len(r["seconds"]) == rounds.get(r["part"], record["about"]["rounds"]) for r in record["runs"])
    for line in record["models"]:  # a system that did not run says why
        assert ("error" in line) != ("step peak" in line)
    assert {s["torch"] for s in record["systems"]} == {record["about"]["torch"]}
    assert set(speed.product_share(record)["model"]) == rankers
    assert (speed.product_share(record)["share"] < 1).all()


def test_the_stored_cost_model_gets_the_bytes_right():
    table = speed.predicted(speed.stored()).set_index("processes")
    # the loss travels with the gradients; tables are whole columns, so shares are equal only in the mean
    assert table.loc[2, "sent_mb"] == pytest.approx(table.loc[2, "predicted_mb"], rel=1e-3)
    assert table.loc[1, "sent_mb"] == table.loc[1, "predicted_mb"] == 0
