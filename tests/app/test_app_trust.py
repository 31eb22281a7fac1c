"""What an address or a file holds is shown as text, and the explorer calls nobody."""

from __future__ import annotations

import importlib
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from explorer import on_page
from streamlit import config, file_util, net_util
from streamlit.web import bootstrap

from app.core import address, look
from app.core.names import plain

ROOT = Path(__file__).parents[2]
EVIL = "![p](http://example.org/p.png) [log in](http://example.org) <img src=x> $$E$$\n\n# BIG `c` :red[x]"


@pytest.mark.parametrize("key", ["data", "models", "seed", "detail", "set.user", "set.genres"])
def test_markdown_of_an_address_is_text(key):
    given = {"data": "movielens-100k", "task": "click", "row": "1"} | {key: f"x{EVIL}"}
    app = on_page("compare", **given)
    shown = app.warning[0].value
    assert plain("![p]") in shown
    assert not set("![]<>$`#") & set(re.sub(r"\\.", "", shown))  # nothing of it is left that markdown would read


def test_an_unseen_value_is_exactly_that():
    assert address.is_unseen("<unseen>") and address.is_unseen("<unseen> 2")
    assert not address.is_unseen("<unseen> ![p](http://example.org)")


@pytest.mark.parametrize("page", ["compare", "race", "steps", "position"])
def test_numbers_of_any_length_are_no_error(page):
    long = "9" * 5000
    on_page(page, row=long, seed=long, step=long, epoch=long, tour=long, view="own", curve=",".join([long] * 10))


def test_it_listens_on_loopback_and_asks_nobody(monkeypatch, capsys):
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1" and settings["browser"]["gatherUsageStats"] is False
    main = importlib.import_module("app.__main__")
    monkeypatch.delenv("STREAMLIT_SERVER_ADDRESS", raising=False)
    assert main.options(["--server.port=1"]) == ["--server.address=127.0.0.1", "--server.port=1"]
    assert main.options(["--server.address=0.0.0.0"]) == ["--server.address=0.0.0.0"]
    assert main.options(["--server.address", "::"]) == ["--server.address", "::"]

    def asked(*_, **__):
        raise AssertionError("the network was asked")

    for name in ("get_external_ip", "get_internal_ip", "_make_blocking_http_get"):
        monkeypatch.setattr(net_util, name, asked)
    with monkeypatch.context() as m:
        values = {"server.address": settings["server"]["address"], "server.headless": True}
        real = config.get_option
        m.setattr(config, "get_option", lambda key: values.get(key, real(key)))
        m.setattr(config, "is_manually_set", lambda key: key == "server.address")
        bootstrap._print_url(False)
    assert "127.0.0.1" in capsys.readouterr().out


def test_the_first_page_carries_the_rules_of_style_and_the_rest_is_streamlits(monkeypatch):
    own = file_util.get_static_dir()
    monkeypatch.setattr(file_util, "get_static_dir", lambda: own)  # given back at the end
    folder = look.serve()
    assert folder is not None and file_util.get_static_dir() == str(folder)
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert look.CSS in page.partition("</head>")[0] and f"<title>{look.TITLE}</title>" in page
    assert not re.search(r"url\(|@import|</style", look.CSS)
    assert {p.name for p in folder.iterdir()} == {p.name for p in Path(own).iterdir()}
    shutil.rmtree(folder)
    assert (Path(own) / "static").is_dir() and look.CSS not in (Path(own) / "index.html").read_text(encoding="utf-8")
