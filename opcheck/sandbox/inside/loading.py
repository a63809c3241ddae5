"""Runs a submission's file and tells what it defines."""

import ast
import inspect
import linecache
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opcheck.sandbox.inside import wire
else:
    import wire

NAMES_LIMIT = 500
_LIBRARIES = {"torch", "numpy", *sys.stdlib_module_names}
_DEFINITIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)


def execute(source: str | bytes, file: str, module: types.ModuleType, definitions_only: bool) -> BaseException | None:
    """Run the file statement by statement; after a failure go on: a failing plot must not hide the functions below it.

    Returns the first failure. `definitions_only` leaves loops, calls and branches at top level out.
    """
    if isinstance(source, str):  # a notebook's cells: give tracebacks and inspect the text that no file holds
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    tree = ast.parse(source, file)
    module.__doc__ = ast.get_docstring(tree)
    flags, first = 0, None
    for statement in tree.body:
        if definitions_only and not isinstance(statement, _DEFINITIONS):
            continue
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            import __future__

            for alias in statement.names:
                flags |= getattr(__future__, alias.name).compiler_flag
        try:
            code = compile(ast.Module([statement], []), file, "exec", flags, dont_inherit=True)
            exec(code, module.__dict__)
        except BaseException as error:
            first = first or error
    return first


def definitions(module: types.ModuleType) -> list[wire.Value]:
    """What the module offers at top level: names, kinds, parameters; classes with their methods."""
    found: list[wire.Value] = []
    for name, value in list(vars(module).items())[:NAMES_LIMIT]:
        with suppress(BaseException):  # a hostile object may raise at any question
            if not isinstance(name, str) or name.startswith("__") or isinstance(value, types.ModuleType):
                continue
            own = getattr(value, "__module__", None) == module.__name__
            if isinstance(value, type):
                members: list[wire.Value] = [
                    {"name": key, "parameters": _parameters(getattr(value, key))}
                    for key, member in list(_members(value).items())[:NAMES_LIMIT]
                    if callable(member) or isinstance(member, (staticmethod, classmethod))
                ]
                described: dict[str, wire.Value] = {"parameters": _parameters(value), "methods": members}
                described["attributes"] = _attributes(value)
                found.append({"name": name, "kind": "class", "own": own, **described})
            elif callable(value):
                described = {"parameters": _parameters(value), "methods": [], "attributes": _names([value])}
                found.append({"name": name, "kind": "function", "own": own, **described})
            else:
                found.append({"name": name, "kind": "value", "own": True, "parameters": [], "methods": []})
    return found


def _members(kind: type) -> dict[str, object]:
    """What a class has of its own, or from a class that is no library's."""
    return {key: member for each in reversed(_family(kind)) for key, member in vars(each).items()}


def _family(kind: type) -> list[type]:
    """A class and those that it is made from, as far as they are no library's."""
    return [kind, *(base for base in kind.__mro__[1:] if base.__module__.partition(".")[0] not in _LIBRARIES)]


def _attributes(kind: type) -> list[wire.Value]:
    """The names that the methods of a class use."""
    return _names([member for each in _family(kind) for member in vars(each).values()])


def _names(functions: list[object]) -> list[wire.Value]:
    """The names that functions use, what methods keep in `self` among them, and keys of dicts: ['W']."""
    names: dict[wire.Value, None] = {}
    for member in functions:
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        names |= dict.fromkeys(getattr(code, "co_names", ()))
        words = [each for each in getattr(code, "co_consts", ()) if isinstance(each, str) and each.isidentifier()]
        names |= dict.fromkeys(f"[{word!r}]" for word in words)
    return [*names][:NAMES_LIMIT]


def _parameters(function: Callable[..., object]) -> list[wire.Value]:
    with suppress(BaseException):
        return [
            {"name": p.name, "kind": p.kind.name, "has_default": p.default is not p.empty}
            for p in inspect.signature(function).parameters.values()
        ]
    return []
