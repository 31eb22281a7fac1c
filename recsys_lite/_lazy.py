"""Names that a package offers without importing what lies behind them before they are used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, where: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        where: module, relative to the package, -> names in it, with spaces between.

    Example:
        >>> get, _ = lazy("recsys_lite", {".evaluation.metrics": "auc log_loss"})
        >>> get("auc").__module__
        'recsys_lite.evaluation.metrics'
    """
    home = {name: module for module, names in where.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *home})
