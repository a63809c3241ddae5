"""Calling conventions of student code, one file each, and a teacher's own from a Python file beside the assignment."""

import importlib
import importlib.util
from functools import cache
from pathlib import Path

from opcheck.errors import Refused
from opcheck.grading.conventions.base import (
    Allowed,
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    only,
    power_of_two,
    whole,
)
from opcheck.language import say

NAMES = ("functional", "cs231n", "cmu", "cmu2022", "coursera", "layer", "module")


@cache
def get(name: str, folder: Path | None = None) -> Convention:
    """The convention of that name; a name that ends in .py is a file in `folder`. Raises Refused."""
    if name.endswith(".py"):
        return _from_file((folder or Path()) / name)
    if name not in NAMES:
        raise Refused(
            say("there is no convention {name}", name=repr(name)),
            fix=say("they are {names}, or a .py file beside the assignment", names=", ".join(NAMES)),
        )
    family, variant = ("cmu", "CMU2022") if name == "cmu2022" else (name, "CONVENTION")
    found: Convention = getattr(importlib.import_module(f"opcheck.grading.conventions.{family}"), variant)
    return found


def _from_file(path: Path) -> Convention:
    if not path.is_file():
        raise Refused(say("there is no file {path} for the convention", path=path))
    spec = importlib.util.spec_from_file_location(f"opcheck_convention_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Refused(
            say("the convention {path} does not load", path=path), got=f"{type(error).__name__}: {error}"
        ) from None
    found = getattr(module, "CONVENTION", None)
    if not isinstance(found, Convention):
        raise Refused(say("{path} must define CONVENTION, a Convention", path=path), got=type(found).__name__)
    return found


__all__ = [
    "NAMES", "Allowed", "Convention", "Cotangent", "Entry", "Plan", "Reading", "Request", "get", "only",
    "power_of_two", "whole",
]  # fmt: skip
