"""Getting files: hash-checked, resumable, with progress, safe for two processes at once."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pooch
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

CONNECT_SECONDS = 10  # an address that does not answer must not hold a reader up


class DataUnavailable(RuntimeError):
    """No source of a data set could be used; the message says what was tried and what to do."""


def cache_path() -> Path:
    """Where fetched files lie: the environment variable RECSYS_LITE_CACHE, or the user's cache folder.

    Raises:
        DataUnavailable: for a ``~`` in the variable that stands for nobody's home.
    """
    given = os.environ.get("RECSYS_LITE_CACHE") or pooch.os_cache("recsys-lite")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise DataUnavailable(f"RECSYS_LITE_CACHE is {str(given)!r}: {error}") from error


def cache_folder() -> Path:
    """The folder of :func:`cache_path`, made if it is not there.

    Raises:
        DataUnavailable: if it cannot be made or written, naming it.
    """
    folder = cache_path()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataUnavailable(
            f"the cache folder {folder} cannot be written ({error.strerror}); "
            "set RECSYS_LITE_CACHE to a folder that can"
        ) from error
    return folder


def sha256(data: bytes) -> str:
    """The hash of bytes, as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def is_whole(file: Path, known_hash: str) -> bool:
    """Whether a file can be read and has the hash, given as ``"sha256:..."`` or ``"md5:..."``."""
    algorithm, expected = known_hash.split(":")
    try:
        return hashlib.new(algorithm, file.read_bytes(), usedforsecurity=False).hexdigest() == expected
    except OSError:
        return False


def download(url: str, output_file: str | os.PathLike[str]) -> None:
    """Fetch a file, going on where an earlier try stopped.

    What has arrived is kept in ``<name in the address>.part`` in the target's folder and renamed when it is whole; the
    next try asks the server for the rest only. A server that ignores the question sends everything again.

    Raises:
        OSError: if the address cannot be reached, or the connection ends before all has arrived.
    """
    target = Path(output_file)
    part = target.parent / f"{url.rsplit('/', 1)[-1]}.part"
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=CONNECT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send, or the file has changed: start again
            part.unlink(missing_ok=True)
            if have:
                return download(url, output_file)
        raise
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        total = int(length) + (have if resumed else 0) if length else None
        with (
            open(part, "ab" if resumed else "wb") as sink,
            tqdm(total=total, initial=have if resumed else 0, unit="B", unit_scale=True, desc=target.name) as bar,
        ):
            while block := response.read(1 << 16):
                sink.write(block)
                bar.update(len(block))
    arrived = part.stat().st_size
    if total is not None and arrived != total:
        raise OSError(f"{url}: got {arrived} of {total} bytes; call again to go on from there")
    os.replace(part, target)


def retrieve(url: str, known_hash: str, folder: Path) -> Path:
    """The file at an address, from ``folder`` if it lies there with the right hash, otherwise fetched.

    Raises:
        ValueError: if what arrived has another hash (nothing is kept).
        OSError: if it could not be fetched.
    """
    target = folder / url.rsplit("/", 1)[-1]
    if not is_whole(target, known_hash):
        folder.mkdir(parents=True, exist_ok=True)
        download(url, target)
        if not is_whole(target, known_hash):
            target.unlink()
            raise ValueError(f"{url}: what arrived has another hash than {known_hash}")
    return target


def wheel(requirement: str, known_sha256: str, folder: Path) -> Path:
    """A wheel from the package index that pip is set up for, only downloaded: never installed or imported.

    Raises:
        OSError: if pip cannot get it. ValueError: if it has another hash.
    """
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries=1"]
        command += ["--quiet", "--disable-pip-version-check", "--no-input"]
        done = subprocess.run([*command, "-d", aside, requirement], capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise OSError(f"pip download {requirement} failed: {done.stderr.strip().splitlines()[-1:] or 'no message'}")
        files = sorted(Path(aside).glob("*.whl"))
        if len(files) != 1:
            raise OSError(f"pip download {requirement}: expected one wheel, got {[f.name for f in files]}")
        if (got := sha256(files[0].read_bytes())) != known_sha256:
            raise ValueError(f"{files[0].name}: wrong hash, expected sha256 {known_sha256}, got {got}")
        target = folder / files[0].name
        os.replace(files[0], target)
        return target


def first_that_works(name: str, sources: Sequence[tuple[str, Callable[[], Path]]], advice: str) -> Path:
    """Try sources in order.

    Args:
        name: of the data set, for messages.
        sources: (what it is, a function that returns a file or raises).
        advice: what the user can do when all fail.

    Raises:
        DataUnavailable: with each source and why it failed.
    """
    failures = []
    for what, get in sources:
        try:
            return get()
        except (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError) as error:
            failures.append(f"  - {what}: {type(error).__name__}: {error}")
    raise DataUnavailable(f"{name} could not be fetched. Tried:\n" + "\n".join(failures) + f"\n{advice}")


def locked(folder: Path, name: str, seconds: float = 600) -> FileLock:
    """A lock so that of two processes one fetches and the other waits for the file."""
    return _Lock(folder / f"{name}.lock", timeout=seconds)


class _Lock(FileLock):
    def __enter__(self):  # type: ignore[no-untyped-def]
        try:
            return super().__enter__()
        except Timeout:
            raise DataUnavailable(
                f"another process has held {self.lock_file} for {self.timeout:.0f} s; "
                "if none is running, delete that file"
            ) from None
