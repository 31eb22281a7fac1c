"""The recipe of CONTRIBUTING.md, followed literally in a copy: its model is in leaderboard, traces and explorer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from built import ROOT, copy_tree

pytestmark = pytest.mark.slow("tunes and trains a model in a copy of the repository")

STEP = re.compile(
    r"\*\*`(?P<path>[^`]+)`\*\*, (?:new|(?P<how>after|in place of) `(?P<line>[^`]+)`):\n\n"
    r"(?P<code> *```python\n.*?\n *```)\n",
    re.S,
)

LOOK = """
from streamlit.testing.v1 import AppTest
from recsys_lite import FwFM, data, load_model, store
from recsys_lite.explain import logit_parts
from recsys_lite.explain.traces import trace

record = store.read_json(store.RESULTS / "leaderboard.json")
runs = [r for r in record["runs"] if r["model"] == "fwfm"]
assert [r["seed"] for r in runs] == [0, 1, 2, 3, 4] and all(r["test"]["auc"] > 0.6 for r in runs), runs
dataset = data.load("criteo-sample")
model = load_model(store.weights_path("criteo-sample", "click", "fwfm"), dataset.fields)
assert isinstance(model, FwFM) and len(logit_parts(model, dataset.test[:3], fine=True)) == 3
assert {step.box for step in trace("fwfm", model, dataset.test[0])} == set(range(6))


def opened(page, **query):
    script = f"import importlib; importlib.import_module('app.pages.{page}').page()"
    app = AppTest.from_string(script, default_timeout=120)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app


compare = opened("compare", data="criteo-sample", models="fm,fwfm", row="3")
assert len(compare.metric) == 2, [m.label for m in compare.metric]
steps = opened("steps", data="criteo-sample.click", model="fwfm", row="3")
assert "fwfm" in str([w.value for w in steps.selectbox]), [w.value for w in steps.selectbox]
board = opened("leaderboard", data="criteo-sample.click")
assert any("fwfm" in str(table.value) for table in board.dataframe), [t.value for t in board.dataframe]
"""


def follow(text: str, root: Path) -> list[str]:
    """Do what the recipe says in a copy; returns the files that it named."""
    named = []
    for step in STEP.finditer(text):
        code = "\n".join(textwrap.dedent(step["code"]).split("\n")[1:-1]) + "\n"
        path, line = root / step["path"], step["line"]
        if line is None:
            assert not path.exists(), path
            path.write_text(code)
        else:
            old = path.read_text()
            assert old.count(f"\n{line}\n") == 1, f"{step['path']}: expected one line {line!r}"
            kept = "" if step["how"] == "in place of" else line + "\n"
            path.write_text(old.replace(f"\n{line}\n", f"\n{kept}{code}"))
        named.append(step["path"])
    return named


def test_the_recipe_gives_a_model_everywhere(tmp_path):
    copy_tree(tmp_path)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = follow(text[text.index("## Add a model") : text.index("## Adding a retriever")], tmp_path)
    assert len(named) == 10

    def run(*command: str) -> None:
        clean = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    run("-m", "ruff", "check", *named)
    run("-m", "ruff", "format", "--check", *named)
    run("-m", "bench.leaderboard", "--models", "fwfm", "--data", "criteo-sample")
    run("-c", LOOK)
    tests = ["tests/library/models/test_fwfm.py", "tests/library/test_floors.py"]
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
