"""Start the explorer: ``python -m app``, with the options of ``streamlit run``.

It listens on the loopback address, unless ``--server.address`` or STREAMLIT_SERVER_ADDRESS says otherwise: a server
that listens everywhere would ask the network for its own address.

It imports the pages, and PyTorch with them, and reads the data before it serves, so that no visitor waits for that.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
from pathlib import Path

from streamlit import logger
from streamlit.web import cli

logger.set_log_level("error")  # it warns of caches that are filled before it serves; `streamlit run` sets it anew

from recsys_lite.data import DataUnavailable  # noqa: E402

from . import main  # noqa: E402, F401
from .core import cache, look  # noqa: E402
from .core.names import TASKS  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[1] / "streamlit_app.py"


def read() -> None:
    """Every data set into the caches that all sessions share; a page whose data cannot be had says so itself."""
    with contextlib.suppress(DataUnavailable):
        for pair in TASKS:
            cache.load_dataset(*pair)
        cache.load_interactions()


def options(given: list[str]) -> list[str]:
    """The options of ``streamlit run``, the address of loopback among them unless another one is asked for."""
    asked = any(o.split("=")[0] == "--server.address" for o in given) or "STREAMLIT_SERVER_ADDRESS" in os.environ
    return given if asked else ["--server.address=127.0.0.1", *given]


if __name__ == "__main__":
    print("Reading the data …", flush=True)
    read()
    served = look.serve()
    if served is not None:
        atexit.register(shutil.rmtree, served, ignore_errors=True)
    sys.argv = ["streamlit", "run", str(SCRIPT), *options(sys.argv[1:])]
    sys.exit(cli.main())
