"""Notices are of what is here now: each pinned package has a licence, each stored model a card."""

import re

from recsys_lite.store import WEIGHTS
from tools import notices


def test_every_pinned_package_is_listed_with_a_licence():
    pinned = notices.packages((notices.ROOT / "requirements.txt").read_text(encoding="utf-8"))
    listed = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \|$", notices.LICENCES.read_text(encoding="utf-8"), flags=re.M)
    assert len(pinned) > 100 and [(n, v) for n, v, _ in listed if n != "package"] == pinned
    assert not [n for n, _, licence in listed if licence in ("see the package", "not installed here", "")]
    # docutils: public domain but for an editor's mode, which is not used here
    assert {n for n, _, licence in listed if re.search(r"\bA?GPL|General Public", licence)} <= {"docutils"}


def test_every_stored_model_has_a_card():
    assert notices.CARDS.read_text(encoding="utf-8") == notices.cards(), "run python tools/notices.py"
    for path in WEIGHTS.glob("*.json"):
        assert f"| {path.stem} |" in notices.CARDS.read_text(encoding="utf-8")
