"""Small faults put into the library, one at a time: which of them do the tests notice?

    python -m bench.mutation                 60 mutants drawn with a fixed seed; what is known is not run again
    python -m bench.mutation --mutants 200   more of the same order
    python -m bench.mutation --survivors     those that survived once more, after tests were added
    python -m bench.mutation --fresh         everything again

A mutant is killed if a test fails, or no longer ends in time. Some survivors compute the same as the library does; the
share of killed mutants is therefore a lower bound of the share of faults that are noticed.

Source: DeMillo, Lipton & Sayward, Hints on Test Data Selection, Computer 1978.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recsys_lite.store import RESULTS, read_json, write_json

FILE = RESULTS / "mutation.json"
ROOT = Path(__file__).parents[1]
SEED, COUNT = 0, 60
LIMIT = 600  # seconds for the tests of one mutant
WINGS = ("fields", "layers", "models", "evaluation", "training")

#: wing -> the tests that concern its modules, beside those that bear a module's name, which run first
TESTS = {
    "fields": ["tests/library/test_fields.py", "tests/library/test_trust.py", "tests/reference"],
    "layers": ["tests/library/layers", "tests/reference", "tests/library/models/test_models.py"],
    "models": ["tests/library/models/test_models.py", "tests/reference"],
    "evaluation": ["tests/reference/test_metric_equations.py", "tests/library/evaluation"],
    "training": [
        "tests/reference/test_optimiser_equations.py",
        "tests/library/training",
        "tests/library/test_trust.py",
        "tests/library/evaluation/test_ranking.py",
        "tests/library/evaluation/test_retrieval.py",
    ],
}

#: module -> the name of its tests, where it is not the module's own
NEAR = {
    "click_models": "own_curve", "neighbours": "retrieval", "leave_one_out": "ranking", "optim": "train",
    "retrieval_steps": "in_batch", "losses": "in_batch", "full_ranking": "retrieval", "cross_model": "dcn",
}  # fmt: skip

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or,
    ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: its module below the package, its place, its number among the module's, and what it changes."""

    module: str
    place: str
    number: int
    kind: str
    change: str

    @property
    def name(self) -> str:
        return f"{self.module}:{self.place} {self.kind}: {self.change}"


def mutants(module: str, source: str) -> list[Mutant]:
    """All mutants of a module's source, each of which differs from it."""
    found = []
    for number, (node, kind, changed, apply) in enumerate(_faults(ast.parse(source))):
        before, old = _line(changed), dict(vars(node))
        apply()
        what = before if kind == "dropped" else f"{before} -> {_line(node)}"
        vars(node).update(old)
        found.append(Mutant(module, f"{changed.lineno}:{changed.col_offset}", number, kind, what))
    return found


def mutated(source: str, number: int) -> str:
    """The source with a fault in it."""
    tree = ast.parse(source)
    list(_faults(tree))[number][3]()
    return ast.unparse(ast.fix_missing_locations(tree))


def _faults(tree: ast.AST) -> Iterator[tuple[ast.AST, str, Any, Callable[[], Any]]]:
    for node in _places(tree):
        for kind, changed, apply in _changes(node):
            yield node, kind, changed, apply


def _line(node: ast.AST) -> str:
    """The text of a node in one short line."""
    return re.sub(r"\s+", " ", ast.unparse(node))[:70]


def _places(tree: ast.AST) -> list[ast.AST]:
    """The nodes that are changed: not what tells of errors, types or other modules, and no text."""
    found: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Assert)):
            return
        if isinstance(node, ast.FunctionDef) and node.name in ("extra_repr", "__repr__"):
            return
        found.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child)

    visit(tree)
    return found


def _changes(node: Any) -> Iterator[tuple[str, ast.AST, Callable[[], Any]]]:
    """The faults that can be put into a node: their kind, what they change, and what does it in place."""

    def put(name: str, value: Any) -> Callable[[], Any]:
        return lambda: setattr(node, name, value)

    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in OPERATORS:
        yield "operator", node, put("op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield "comparison", node, put("ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", node, put("operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", node, put("op", ast.UAdd())
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        value = (not node.value) if isinstance(node.value, bool) else node.value + 1
        yield "constant", node, put("value", value)
    elif isinstance(node, ast.Call) and len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args):
        yield "arguments", node, put("args", [node.args[1], node.args[0], *node.args[2:]])
    elif isinstance(node, ast.IfExp):
        yield "branches", node, lambda: (put("body", node.orelse)(), put("orelse", node.body)())
    elif isinstance(node, ast.If):
        yield "condition", node, put("test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(body := getattr(node, "body", None), list):
        for k, line in enumerate(body):
            call = isinstance(line, ast.Expr) and isinstance(line.value, ast.Call)
            guard = isinstance(line, ast.If) and isinstance(line.body[0], ast.Raise)
            if call or guard or isinstance(line, ast.AugAssign):
                yield "dropped", line, put("body", [*body[:k], ast.Pass(), *body[k + 1 :]])


def drawn(seed: int = SEED) -> list[Mutant]:
    """All mutants of the library in a drawn order, one of each module in turn, so that every module has some.

    A module's order hangs on its own text alone: a change of one leaves those of the others.
    """
    package = ROOT / "recsys_lite"
    each = []
    for path in sorted(p for wing in WINGS for p in (package / wing).glob("*.py")):
        module = path.relative_to(package).as_posix()
        some = mutants(module, path.read_text(encoding="utf-8"))
        random.Random(f"{seed} {module}").shuffle(some)
        each.append((random.Random(f"{module} {seed}").random(), some))
    lists = [some for _, some in sorted(each, key=lambda pair: pair[0])]
    return [some[k] for k in range(max(map(len, lists))) for some in lists if k < len(some)]


def tests_of(module: str) -> list[str]:
    """The tests that concern a module, the nearest first."""
    wing, name = module.split("/")[0], Path(module).stem
    names = {name, NEAR.get(name, name)}
    near = sorted(p for n in names for p in (ROOT / "tests" / "library").glob(f"*/test_{n}*.py"))
    return [*(p.relative_to(ROOT).as_posix() for p in near), *TESTS[wing]]


def copied(target: Path) -> Path:
    """The library and its tests, so that nobody's files are changed; all else is linked."""
    linked = [ROOT / "recsys_lite" / "store" / "results", ROOT / "recsys_lite" / "data" / "samples"]
    ignore = lambda folder, names: {n for n in names if Path(folder, n) in linked or n == "__pycache__"}  # noqa: E731
    for name in ("recsys_lite", "tests"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    rest = [p for p in ROOT.iterdir() if p.name not in ("recsys_lite", "tests") and not p.name.startswith(".")]
    for path in [*linked, *rest]:
        (target / path.relative_to(ROOT)).symlink_to(path)
    return target


def tested(tree: Path, tests: list[str], limit: float | None = None) -> tuple[bool, str]:
    """Whether the tests of a copy pass, and the name of the first that does not."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests]
    paths = os.pathsep.join([str(tree), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=limit, env=environment)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    return done.returncode == 0, failed[1] if failed else ""


def outcome(tree: Path, mutant: Mutant, limit: float = LIMIT) -> str:
    """``killed: test``, ``killed: time`` or ``survived``: what the tests say of a mutant in a copy of the library.

    Raises:
        RuntimeError: if the test that fails does so without the fault, too.
    """
    path = tree / "recsys_lite" / mutant.module
    right = path.read_text(encoding="utf-8")
    path.write_text(mutated(right, mutant.number), encoding="utf-8")
    try:
        passed, failed = tested(tree, tests_of(mutant.module), limit)
    except subprocess.TimeoutExpired:
        return "killed: time"
    finally:
        path.write_text(right, encoding="utf-8")
    if passed:
        return "survived"
    if failed and not tested(tree, [failed])[0]:
        raise RuntimeError(f"{failed} fails without a fault, too")
    return f"killed: {failed or 'nothing could be tested'}"


def share(found: dict[str, str]) -> float:
    """The share of mutants that were killed."""
    return sum(not v.startswith("survived") for v in found.values()) / len(found) if found else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=COUNT, help=f"how many (default {COUNT})")
    parser.add_argument("--survivors", action="store_true", help="run those again that survived")
    parser.add_argument("--fresh", action="store_true", help="everything again")
    options = parser.parse_args()
    known = {} if options.fresh or not FILE.is_file() else read_json(FILE)["mutants"]
    wanted = drawn()[: options.mutants]
    names = {m.name for m in wanted}
    found = {name: value for name, value in known.items() if name in names}  # of this source
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        for mutant in tqdm(wanted, desc="mutants"):
            if mutant.name in found and not (options.survivors and found[mutant.name] == "survived"):
                continue
            found[mutant.name] = outcome(tree, mutant)
            write_json(FILE, {"about": {"seed": SEED, "killed": round(share(found), 3)}, "mutants": found})
    print(f"{share(found):.0%} of {len(found)} mutants killed")
    for name in sorted(name for name, value in found.items() if value == "survived"):
        print("survived:", name)


if __name__ == "__main__":
    main()
