"""Calling conventions of student code, one file each, and a teacher's own from a Python file beside the assignment."""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import replace
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

# The order in which code is recognised: where the same name may belong to several, the first that gives right results.
NAMES = (
    "functional",
    "functional_in_out",
    "cs231n",
    "cmu",
    "cmu2022",
    "coursera",
    "layer",
    "layer_out_in",
    "layer_columns",
    "module",
)
COURSES = ("eecs498", "cs336", "needle", "minitorch", "d2l")  # the same, of which few operators are known
ANY = "any"  # each submission is called by the convention that it follows
_VARIANTS = {
    "functional_in_out": ("functional", "IN_OUT"),
    "cmu2022": ("cmu", "CMU2022"),
    "layer_out_in": ("layer", "OUT_IN"),
    "layer_columns": ("layer", "COLUMNS"),
    "eecs498": ("cs231n", "EECS498"),
}


@cache
def get(name: str, folder: Path | None = None) -> Convention:
    """The convention of that name; a name that ends in .py is a file in `folder`. Raises Refused."""
    if name.endswith(".py"):
        return _from_file((folder or Path()) / name)
    if name == ANY:
        return _any()
    if name not in (*NAMES, *COURSES):
        raise Refused(
            say("there is no convention {name}", name=repr(name)),
            fix=say("they are {names}, or a .py file beside the assignment", names=", ".join((*NAMES, *COURSES, ANY))),
        )
    family, variant = _VARIANTS.get(name, (name, "CONVENTION"))
    found: Convention = getattr(importlib.import_module(f"opcheck.grading.conventions.{family}"), variant)
    return found


def _any() -> Convention:
    """All of them: names to look for, until a submission shows which convention it follows."""
    known = [get(name) for name in (*NAMES, *COURSES)]
    ops = dict.fromkeys(op for each in known for op in each.entries)
    entries = {op: _by_title([entry for each in known for entry in each.several(op)]) for op in ops}
    summary = say("whichever of these a submission follows")
    return replace(
        get("functional"),
        name=ANY,
        summary=summary,
        entries=entries,
        names=lambda title: _merged([each.names(title) for each in known if each.names is not None]),
    )


def _by_title(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """One entry for each title, with all the names of it; the one without a title first."""
    titles = sorted(dict.fromkeys(each.title for each in entries), key=bool)
    return tuple(_merged([each for each in entries if each.title == title])._replace(title=title) for title in titles)


def _merged(entries: Sequence[Entry]) -> Entry:
    """All their names."""
    forward = tuple(dict.fromkeys(name for each in entries for name in each.forward))
    return Entry(forward, tuple(dict.fromkeys(name for each in entries for name in each.backward)))


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
            say("the convention {path} cannot be loaded", path=path), got=f"{type(error).__name__}: {error}"
        ) from None
    found = getattr(module, "CONVENTION", None)
    if not isinstance(found, Convention):
        raise Refused(say("{path} must define CONVENTION, a Convention", path=path), got=type(found).__name__)
    return found


__all__ = [
    "ANY", "COURSES", "NAMES", "Allowed", "Convention", "Cotangent", "Entry", "Plan", "Reading", "Request", "get",
    "only", "power_of_two", "whole",
]  # fmt: skip
