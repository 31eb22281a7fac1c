"""Fetch the data, build the book, serve the book and the explorer, say where they are and how to stop."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "_build" / "html"
TEXT = {".html", ".css", ".js", ".json", ".svg", ".txt", ".ipynb"}  # files that gzip makes smaller


def free_port(first: int) -> int:
    """The first port from ``first`` on that nothing listens on."""
    for port in range(first, first + 100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit(f"no free port from {first} to {first + 99}")


def fetch_data() -> None:
    """Fetch MovieLens once; without it the explorer still shows Criteo."""
    from recsys_lite import data

    print("MovieLens-100K … ", end="", flush=True)
    try:
        data.movielens.read_raw()
        print("here")
    except data.DataUnavailable as error:
        print(f"not available; pages that need it will say so.\n{error}")


def book_is_fresh() -> bool:
    """Whether the built book is newer than all it is made from."""
    built = BOOK / ".built"  # written by tools/build.py when it succeeds
    if not built.exists():
        return False
    sources = [ROOT / "_config.yml", ROOT / "_toc.yml", ROOT / "requirements.txt"]
    sources += [p for p in (ROOT / "book").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return max(p.stat().st_mtime for p in sources) <= built.stat().st_mtime


@functools.lru_cache(maxsize=256)
def compressed(path: str, changed: float) -> bytes:
    """A file as gzip; ``changed`` is its time of change, so that a new build is served."""
    return gzip.compress(Path(path).read_bytes(), 6)


class Pages(http.server.SimpleHTTPRequestHandler):
    """Files of the book, text compressed for browsers that take it so, and ``explorer.json`` with its address."""

    def __init__(self, *args: Any, explorer: str = "", **options: Any) -> None:
        self.explorer = explorer
        super().__init__(*args, **options)

    def log_message(self, *_: object) -> None:
        pass

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        path = Path(self.translate_path(self.path))
        takes = "gzip" in self.headers.get("Accept-Encoding", "")
        if self.explorer and self.path.partition("?")[0] == "/explorer.json":
            return self.told(json.dumps({"address": self.explorer}).encode(), "application/json")
        if not (takes and path.suffix in TEXT and path.is_file()):
            return super().send_head()
        body = compressed(str(path), path.stat().st_mtime)
        return self.told(body, self.guess_type(str(path)), **{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})

    def told(self, body: bytes, kind: str, **more: str) -> io.BytesIO:
        """An answer with its headers."""
        self.send_response(200)
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(body))} | more).items():
            self.send_header(name, value)
        self.end_headers()
        return io.BytesIO(body)


def serve_book(port: int, book: Path = BOOK, explorer: str = "") -> http.server.ThreadingHTTPServer:
    """Serve the built book on the loopback address, in a thread of its own; ``explorer`` is the address beside it."""
    pages = functools.partial(Pages, directory=str(book), explorer=explorer)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def wait_for(url: str, seconds: float, process: subprocess.Popen[bytes]) -> None:
    """Return when an address answers; stop with a message if its process ends or the time runs out."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"the explorer did not start at {url}; run `make app` to see why")


def main() -> None:
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped like Ctrl-C: nothing is left running
    fetch_data()
    if not book_is_fresh():
        subprocess.run([sys.executable, "tools/build.py"], check=True)
    book, app = free_port(8000), free_port(8501)
    server = serve_book(book, explorer=f"http://127.0.0.1:{app}")
    command = [sys.executable, "-m", "app", "--server.headless=true"]
    command += [f"--server.port={app}", "--server.address=127.0.0.1"]
    links = {**os.environ, "RECSYS_LITE_BOOK": f"http://127.0.0.1:{book}"}  # the explorer links to the chapters
    explorer = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=links)
    try:
        wait_for(f"http://127.0.0.1:{app}/_stcore/health", 120, explorer)
        print(
            f"\n  Book      http://127.0.0.1:{book}\n  Explorer  http://127.0.0.1:{app}\n\nStop both with Ctrl-C.",
            flush=True,
        )
        if sys.stdout.isatty():
            webbrowser.open(f"http://127.0.0.1:{book}")
        explorer.wait()
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        explorer.terminate()
        explorer.wait()
        server.shutdown()


if __name__ == "__main__":
    main()
