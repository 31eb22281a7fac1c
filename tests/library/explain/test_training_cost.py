"""The cost model of training on sharded tables: numbers worked by hand, limits, errors."""

import pytest

from recsys_lite.explain.training_cost import STATE, Training, by_machines, network_flops

SMALL = {"rows": 1000, "dim": 4, "machines": 4, "batch": 10, "fields": 3, "parameters": 50, "flops": 300.0}
RATES = {"speed": 1e6, "memory": 1e5, "network": 1e4}


def test_memory_by_hand():
    # 250 rows of 4 numbers of 4 bytes; 30 rows are read; the networks have weight, gradient and two moments
    for optimizer, state, gradients in [("sgd", 0, 30), ("rowwise_adagrad", 1, 30), ("adagrad", 4, 30),
                                        ("lazy_adam", 8, 30), ("adam", 8, 250)]:  # fmt: skip
        memory = Training(**SMALL, optimizer=optimizer).memory()
        assert memory == {
            "tables": 4000, "state": 1000 * state, "gradients": 16 * gradients, "networks": 800,
            "total": 4800 + 1000 * state + 16 * gradients,
        }, optimizer  # fmt: skip
    assert set(STATE) == {"sgd", "rowwise_adagrad", "adagrad", "lazy_adam", "adam"}


def test_traffic_by_hand():
    # 3/4 of 30 ids of 8 bytes and of 30 vectors of 16 bytes, there and back; 2 · 3/4 of 50 gradients of 4 bytes
    traffic = Training(**SMALL).traffic()
    assert traffic == {"ids": 180, "vectors": 360, "gradients": 360, "networks": 300, "total": 1200}


def test_a_step_by_hand():
    t = Training(**SMALL, optimizer="rowwise_adagrad")
    touched = 4 * (4 * 4 * 30 + 30 * (4 + 8 + 2))  # look-up and gradient; gradient again, row and state both ways
    assert t.touched() == touched
    step = t.seconds(**RATES, latency=0.01)
    assert step["networks"] == pytest.approx(0.003) and step["tables"] == pytest.approx(touched / 1e5)
    assert step["communication"] == pytest.approx(0.12 + 0.04)
    assert step["total"] == pytest.approx(step["networks"] + step["tables"] + step["communication"])


def test_one_machine_sends_nothing():
    t = Training(**SMALL | {"machines": 1})
    assert t.traffic()["total"] == 0 and t.seconds(**RATES, latency=9.0)["communication"] == 0


def test_only_dense_adam_pays_for_the_rows_that_are_not_read():
    for optimizer in STATE:
        small, large = (Training(**SMALL | {"rows": n, "optimizer": optimizer}).touched() for n in (10**4, 10**6))
        assert (large > small) == (optimizer == "adam")


def test_repeated_look_ups_are_sent_once():
    whole, half = Training(**SMALL).traffic(), Training(**SMALL, distinct=0.5).traffic()
    assert half["vectors"] == whole["vectors"] / 2 and half["networks"] == whole["networks"]


def test_ten_billion_rows():
    t = Training(rows=10**10, dim=16, machines=8, batch=4096, fields=26, optimizer="rowwise_adagrad")
    assert t.memory()["tables"] == 80e9 and t.memory()["state"] == 5e9
    table = by_machines(t, [8, 64], speed=1e12, memory=1e11, network=1e10)
    assert len(table) == 2 * len(STATE)
    line = table[(table["machines"] == 64) & (table["optimizer"] == "adam")].iloc[0]
    assert line["gigabytes"] == pytest.approx(4 * 10.0, rel=1e-3)  # 10 GB each of weight, gradient and two moments
    assert line["rows_per_second"] == pytest.approx(64 * 4096 / (line["total_ms"] / 1000))


def test_flops_of_linear_layers():
    assert network_flops(3, 5, 2) == 6 * 25


@pytest.mark.parametrize("wrong", [
    {"optimizer": "best"}, {"machines": 0}, {"rows": 0}, {"distinct": 0.0}, {"distinct": 1.5}, {"flops": -1.0},
])  # fmt: skip
def test_bad_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="Training"):
        Training(**SMALL | wrong)


@pytest.mark.parametrize("rate", ["speed", "memory", "network"])
def test_bad_rates_are_refused(rate):
    with pytest.raises(ValueError, match=rate):
        Training(**SMALL).seconds(**RATES | {rate: 0.0})
