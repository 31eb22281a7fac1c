"""The mutator makes each kind of fault once, leaves messages and types alone, and a run tells what the tests say."""

import ast
from pathlib import Path

import pytest

from bench import mutation
from bench.mutation import Mutant, mutants, mutated

SOURCE = '''"""A text with 3 numbers."""
from math import inf

def f(a: "list[1]", b=2):
    """Not 1 of these."""
    if a < 0:
        raise ValueError(f"a is {a + 1}")
    a += b
    print(a)
    return g(a, b) if not a and a > 1 else -a
'''


def test_every_kind_of_fault_is_made():
    made = mutants("m.py", SOURCE)
    assert {m.change for m in made} == {
        "2 -> 3", "a < 0 -> a <= 0", "a += b", "print(a)", "0 -> 1", "a += b -> a -= b", "g(a, b) -> g(b, a)",
        "not a and a > 1 -> not a or a > 1",
        "not a -> not not a", "a > 1 -> a >= 1", "1 -> 2", "-a -> +a",
        *(m.change for m in made if m.kind in ("condition", "branches") or m.change.startswith("if ")),
    }  # fmt: skip
    assert sum(m.kind == "dropped" for m in made) == 3
    assert sum(m.kind == "branches" for m in made) == sum(m.kind == "condition" for m in made) == 1


def test_mutants_compile_differ_and_keep_messages_and_types():
    made = mutants("m.py", SOURCE)
    texts = {m.name: mutated(SOURCE, m.number) for m in made}
    assert len(set(texts.values())) == len(texts) == len(made)
    for m in made:
        text = texts[m.name]
        compile(text, "m.py", "exec")
        assert text != ast.unparse(ast.parse(SOURCE)) and "list[1]" in text and "A text with 3" in text
        assert "a is {a + 1}" in text or m.kind == "dropped"


def test_the_order_is_drawn_once_and_every_module_has_a_turn():
    order = mutation.drawn()
    assert [m.name for m in order] == [m.name for m in mutation.drawn()]
    modules = {m.module for m in order}
    assert {m.module.split("/")[0] for m in order} == set(mutation.WINGS)
    assert {m.module for m in order[: len(modules)]} == modules


def test_tests_of_every_module_exist():
    for wing in mutation.WINGS:
        assert all((mutation.ROOT / path).exists() for path in mutation.tests_of(f"{wing}/x.py"))
    assert mutation.tests_of("layers/graph.py")[0] == "tests/library/layers/test_graph.py"


@pytest.mark.slow("starts pytest three times")
def test_a_fault_is_killed_and_the_library_itself_survives(tmp_path, monkeypatch):
    monkeypatch.setattr(mutation, "tests_of", lambda module: ["tests/library/layers/test_layers.py"])
    tree = mutation.copied(tmp_path)
    path = tree / "recsys_lite" / "layers" / "fm.py"
    right = path.read_text()
    wrong = next(m for m in mutants("layers/fm.py", right) if m.change == "0.5 -> 1.5")
    assert mutation.outcome(tree, wrong).startswith("killed: tests/library/layers/test_layers.py::test_fm")
    assert mutation.outcome(tree, wrong, limit=0.1) == "killed: time"
    assert path.read_text() == right
    monkeypatch.setattr(mutation, "mutated", lambda source, number: source)
    assert mutation.outcome(tree, wrong) == "survived"


def test_a_run_goes_on_and_looks_at_survivors_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mutation, "FILE", tmp_path / "mutation.json")
    monkeypatch.setattr(mutation, "drawn", lambda: [Mutant("m.py", str(k), k, "constant", "") for k in range(4)])
    monkeypatch.setattr(mutation, "copied", lambda folder: Path(folder))
    asked = []

    def outcome(tree, mutant):
        asked.append(int(mutant.place))
        return "survived" if mutant.place == "1" else "killed: test"

    monkeypatch.setattr(mutation, "outcome", outcome)
    for arguments in (["--mutants", "3"], [], ["--survivors"], ["--fresh", "--mutants", "1"]):
        monkeypatch.setattr("sys.argv", ["mutation", *arguments])
        mutation.main()
    assert asked == [0, 1, 2, 3, 1, 0]
    assert "75% of 4 mutants killed" in capsys.readouterr().out
