"""Specs in files: `FILE.py:NAME` and `module:NAME`."""

import importlib
import sys
from pathlib import Path
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say


def is_place(text: str) -> bool:
    """Whether this names a place rather than an operator of the catalogue."""
    return ":" in text or text.endswith(".py")


def load(place: str) -> Any:
    """What stands at `FILE.py:NAME` or `module:NAME`; raises Refused where nothing does."""
    where, _, name = place.rpartition(":")
    if not where or not name:
        raise Refused(say("a spec in a file is FILE.py:NAME"), got=place, fix=_names(place))
    if where.endswith(".py"):
        return _attribute(_module_of(Path(where)), name, where)
    try:
        module = importlib.import_module(where)
    except ImportError as error:
        raise Refused(say("cannot import {module}", module=where), got=str(error)) from None
    return _attribute(module, name, where)


def _module_of(path: Path) -> Any:
    """The module of a file, run once; its folder is searched for what it imports, as Python does for a script."""
    import importlib.util

    if not path.is_file():
        raise Refused(say("there is no file {path}", path=path))
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Refused:
        raise
    except Exception as error:
        raise Refused(
            say("{path} cannot be run: {kind}: {error}", path=path, kind=type(error).__name__, error=error)
        ) from error
    return module


def _attribute(module: Any, name: str, where: str) -> Any:
    if not hasattr(module, name):
        found = [key for key, value in vars(module).items()
                 if callable(value) and getattr(value, "__module__", "") == module.__name__]  # fmt: skip
        raise Refused(
            say("{where} has no {name}", where=where, name=name),
            fix=say("it has {found}", found=", ".join(found) or say("no functions")),
        )
    return getattr(module, name)


def _names(place: str) -> str:
    """What the file has, for a person who named the file alone."""
    if not place.endswith(".py") or not Path(place).is_file():
        return ""
    import ast

    try:
        tree = ast.parse(Path(place).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return ""
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return say("it has {found}", found=", ".join(names)) if names else ""
