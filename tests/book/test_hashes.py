"""The hashed requirements pin what the plain ones pin, and every release has a hash."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import hashes  # noqa: E402


def test_both_files_pin_the_same_releases_and_each_has_a_hash():
    assert hashes.wrong() == []
    assert len(hashes.pins((ROOT / hashes.HASHED).read_text(encoding="utf-8"))) > 100


@pytest.mark.parametrize("text, told", [
    ("torch==2.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", ["torch: 2.1 pinned, 2.0 hashed"]),
    ("torch==2.1 \\\n    --hash=sha256:00\n", ["torch: no hash"]),
    ("", ["torch: 2.1 pinned, not hashed"]),
])  # fmt: skip
def test_what_disagrees_is_named(tmp_path, text, told):
    (tmp_path / hashes.PINNED).write_text("# a comment\ntorch==2.1\n")
    (tmp_path / hashes.HASHED).write_text(text)
    assert hashes.wrong(tmp_path) == told
