"""Start the explorer: ``python -m app``, with the options of ``streamlit run``.

It imports the pages, and PyTorch with them, before it serves, so that the first visitor does not wait for that.
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

from . import pages  # noqa: F401

if __name__ == "__main__":
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("main.py")), *sys.argv[1:]]
    sys.exit(cli.main())
