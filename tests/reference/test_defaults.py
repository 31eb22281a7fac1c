"""The defaults that docstrings state are those of the signatures, and linear weights start at zero."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pytest
import torch
from test_model_equations import FIELDS, few

import recsys_lite
from recsys_lite.models import FM, DeepFM, LogisticRegression, WideDeep

#: the name of an argument, and its text up to the next argument or section
ENTRY = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.*?)(?=^ {4}\w[\w, ]*: |^ {0,3}\S|\Z)", re.M | re.S)
#: a default that is a number, a text in quotes or a tuple of numbers
STATED = re.compile(
    r"[Dd]efault (?:is )?(?P<value>-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?:\*\*\d+)?|``\"[^\"]+\"``|\([\d., ]+\))"
)


def stated() -> Iterator[tuple[str, object, object]]:
    """Name of an argument, what its docstring says and what the signature has."""
    seen = set()
    for module in pkgutil.walk_packages(recsys_lite.__path__, "recsys_lite."):
        if module.name.split(".")[1] not in ("layers", "models", "training", "evaluation", "fields"):
            continue
        for name, thing in vars(importlib.import_module(module.name)).items():
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing in seen or not thing.__doc__:
                continue
            if not thing.__module__.startswith("recsys_lite"):
                continue
            seen.add(thing)
            parameters = inspect.signature(thing).parameters
            _, _, arguments = inspect.cleandoc(thing.__doc__).partition("\nArgs:\n")
            for entry in ENTRY.finditer(arguments):
                said = STATED.search(entry["text"])
                if said and entry["name"] in parameters:
                    value = said["value"].strip("`")
                    power = re.fullmatch(r"(\d+)\*\*(\d+)", value)
                    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", value)  # 2,000
                    told = int(power[1]) ** int(power[2]) if power else ast.literal_eval(plain)
                    yield f"{module.name}.{name}: {entry['name']}", told, parameters[entry["name"]].default


ALL = list(stated())


@pytest.mark.parametrize("name, told, default", ALL, ids=[name for name, *_ in ALL])
def test_a_stated_default_is_the_default(name, told, default):
    assert default == told


def test_many_defaults_are_stated():
    assert len(ALL) > 80


@pytest.mark.parametrize("kind", [LogisticRegression, FM, DeepFM, WideDeep])
def test_linear_weights_start_at_zero(kind):
    model = kind(FIELDS)
    assert not model.weights.table.weight.any() and not model.bias.any()
    assert torch.equal(LogisticRegression(FIELDS)(few()), torch.zeros(8))
