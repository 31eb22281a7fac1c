"""Fetching: resume, hashes, locks, and one clear error when nothing works. Only loopback addresses are used."""

import hashlib
import http.server
import multiprocessing
import threading
from typing import ClassVar

import pytest

from recsys_lite import data
from recsys_lite.data import fetch
from recsys_lite.data import movielens_files as files

BODY = bytes(range(256)) * 4000


class Server(http.server.BaseHTTPRequestHandler):
    """Serves BODY with ranges; the first answer can break off half-way."""

    break_off = False
    requests: ClassVar[list] = []

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).requests.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(BODY):
            self.send_error(416)
            return
        rest = BODY[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if type(self).break_off:
            type(self).break_off = False
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    Server.requests, Server.break_off = [], False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/file.zip"
    server.shutdown()


def known():
    return "sha256:" + hashlib.sha256(BODY).hexdigest()


def test_a_file_is_fetched_once(address, tmp_path):
    for _ in range(2):
        assert fetch.retrieve(address, known(), tmp_path / "c").read_bytes() == BODY
    assert Server.requests == [None]


def test_a_broken_download_goes_on_where_it_stopped(address, tmp_path):
    Server.break_off = True
    with pytest.raises(OSError, match="got 512000 of 1024000 bytes"):
        fetch.retrieve(address, known(), tmp_path / "c")
    assert [f.name for f in (tmp_path / "c").iterdir()] == ["file.zip.part"]
    assert fetch.retrieve(address, known(), tmp_path / "c").read_bytes() == BODY
    assert Server.requests == [None, "bytes=512000-"]
    assert [f.name for f in (tmp_path / "c").iterdir()] == ["file.zip"]


def test_a_part_of_another_file_is_refused_and_the_next_try_starts_again(address, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(ValueError, match="hash"):
        fetch.retrieve(address, known(), tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file.zip.part").write_bytes(b"x" * (len(BODY) + 9))  # longer than the file: the server says 416
    assert fetch.retrieve(address, known(), tmp_path).read_bytes() == BODY
    assert Server.requests == ["bytes=1000-", f"bytes={len(BODY) + 9}-", None]


def test_a_wrong_hash_is_refused_and_nothing_is_kept(address, tmp_path):
    with pytest.raises(ValueError, match="hash"):
        fetch.retrieve(address, "sha256:" + "0" * 64, tmp_path / "c")
    assert not list((tmp_path / "c").glob("file.zip"))


def test_a_damaged_cached_file_is_fetched_again(address, tmp_path):
    path = fetch.retrieve(address, known(), tmp_path / "c")
    path.write_bytes(BODY[:99])
    assert fetch.retrieve(address, known(), tmp_path / "c").read_bytes() == BODY


def test_when_all_sources_fail_the_error_says_what_and_what_to_do(tmp_path):
    def fails(message):
        raise OSError(message)

    with pytest.raises(data.DataUnavailable) as caught:
        fetch.first_that_works("X", [("one", lambda: fails("no route")), ("two", lambda: fails("lapsed"))], "Do this.")
    text = str(caught.value)
    assert all(
        part in text
        for part in ("X could not be fetched", "one: OSError: no route", "two: OSError: lapsed", "Do this.")
    )


def test_no_network_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("RECSYS_LITE_ML100K", raising=False)
    monkeypatch.setattr(files, "OFFICIAL", "http://127.0.0.1:9/ml-100k.zip")  # nothing listens there
    monkeypatch.setattr(files, "WHEEL", "no-such-package-recsys-lite==0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(data.DataUnavailable, match="RECSYS_LITE_ML100K") as caught:
        data.load("movielens-100k")
    assert "GroupLens" in str(caught.value) and "mirror" in str(caught.value) and "refused" in str(caught.value)


def test_the_mirror_is_hash_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path))
    monkeypatch.delenv("RECSYS_LITE_ML100K", raising=False)
    monkeypatch.setattr(files, "OFFICIAL", "http://127.0.0.1:9/ml-100k.zip")
    monkeypatch.setattr(files, "WHEEL_HASH", "0" * 64)
    with pytest.raises(data.DataUnavailable, match="wrong hash, expected sha256 0000"):
        data.load("movielens-100k")
    assert not list(tmp_path.glob("*.whl"))


def test_a_cached_mirror_with_a_wrong_hash_is_not_used(tmp_path):
    (tmp_path / "recbole-1.2.1-py3-none-any.whl").write_bytes(b"damaged")
    assert files._cached(tmp_path) is None


def test_a_full_cache_need_not_be_writable(movielens, monkeypatch):
    """With the file in the cache, nothing is written, locked or asked of the network."""

    def refuse(*_, **__):
        raise AssertionError("must not be called")

    monkeypatch.delenv("RECSYS_LITE_ML100K", raising=False)
    for name in ("cache_folder", "locked", "retrieve", "wheel"):
        monkeypatch.setattr(fetch, name, refuse)
    assert len(files.read_raw().ratings) == 100_000


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(data.DataUnavailable, match=r"cannot be written.*RECSYS_LITE_CACHE"):
        fetch.cache_folder()

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch.tempfile, "TemporaryFile", denied)
    with pytest.raises(data.DataUnavailable, match="Permission denied"):
        fetch.cache_folder()


def test_a_lock_that_nobody_gives_back_is_named(tmp_path):
    with (
        fetch.locked(tmp_path, "x"),
        pytest.raises(data.DataUnavailable, match=r"x\.lock"),
        fetch.locked(tmp_path, "x", 0.1),
    ):
        pass


def _get(address, folder, queue):
    with fetch.locked(folder, "file"):
        queue.put(hashlib.sha256(fetch.retrieve(address, known(), folder).read_bytes()).hexdigest())


@pytest.mark.slow("starts processes")
def test_two_processes_fetch_at_once(address, tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_get, args=(address, folder, queue)) for _ in range(2)]
    for p in processes:
        p.start()
    results = {queue.get(timeout=60) for _ in processes}
    for p in processes:
        p.join(60)
    assert results == {known().removeprefix("sha256:")} and len(Server.requests) == 1


def test_pip_failures_say_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(OSError, match="pip download no-such-thing==1 failed"):
        fetch.wheel("no-such-thing==1", "0", tmp_path)


def test_a_tilde_in_the_cache_variable_is_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RECSYS_LITE_CACHE", "~/mine")
    assert fetch.cache_folder() == tmp_path / "mine" and (tmp_path / "mine").is_dir()
    monkeypatch.setenv("RECSYS_LITE_CACHE", "~nobody-of-this-name/x")
    with pytest.raises(data.DataUnavailable, match="RECSYS_LITE_CACHE is '~nobody-of-this-name/x'"):
        fetch.cache_path()
