"""Follows a place, the name of a value as Python writes it: `out[0]`, `layer.dW`, `layer.W['grad']`."""

import builtins
import importlib
import re
from typing import Any, Literal, NamedTuple

_PART = re.compile(r"\.([A-Za-z_]\w*)|\[(-?\d+)\]|\[(?:'([^']*)'|\"([^\"]*)\")\]")
_ROOT = re.compile(r"[A-Za-z_]\w*")


class Absent(Exception):
    """A place that leads nowhere: the module has no such name, say.

    `way` is the place, the type of the last value on the way to it, and what that value lacks; or the name that nothing
    has.
    """

    def __init__(self, message: str, way: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.way = way


class Part(NamedTuple):
    """One step of the way from the root: `.dW`, `[0]` or `['grad']`."""

    kind: Literal["attribute", "item"]
    key: Any

    def __str__(self) -> str:
        return f".{self.key}" if self.kind == "attribute" else f"[{self.key!r}]"


def find(text: str, kept: dict[str, Any]) -> Any:
    """The value at a place whose root is a kept value, a builtin or a module to import; raises Absent.

    `out[0]` is the first of the values that a function returned: where it returned one array instead, that has no such
    place, though Python would take a row of the array.
    """
    root, path = _parsed(text)
    value = _root(root, kept)
    if path and path[0].kind == "item" and hasattr(type(value), "__array__"):
        raise _nothing(text, value, path[0])
    return _follow(value, path, text)


def assign(text: str, value: Any, kept: dict[str, Any]) -> None:
    """Set the attribute, item or kept value that the place names."""
    root, path = _parsed(text)
    if not path:
        kept[root] = value
        return
    holder, last = _follow(_root(root, kept), path[:-1], text), path[-1]
    if last.kind == "attribute":
        setattr(holder, last.key, value)
    else:
        holder[last.key] = value


def _root(name: str, kept: dict[str, Any]) -> Any:
    if name in kept:
        return kept[name]
    if name in vars(builtins):
        return vars(builtins)[name]
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Absent(f"there is no {name}", (name,)) from None


def _parsed(text: str) -> tuple[str, list[Part]]:
    match = _ROOT.match(text)
    if match is None:
        raise Absent(f"{text!r} is not a place")
    root, parts = match[0], []
    while match.end() < len(text):
        match = _PART.match(text, match.end())
        if match is None:
            raise Absent(f"{text!r} is not a place")
        attribute, index, single, double = match.groups()
        if attribute is not None:
            parts.append(Part("attribute", attribute))
        else:
            parts.append(Part("item", int(index) if index is not None else single if single is not None else double))
    return root, parts


def _follow(value: Any, path: list[Part], text: str) -> Any:
    for part in path:
        try:
            value = getattr(value, part.key) if part.kind == "attribute" else value[part.key]
        except (AttributeError, LookupError, TypeError):
            raise _nothing(text, value, part) from None
    return value


def _nothing(text: str, holder: Any, part: Part) -> Absent:
    kind = type(holder).__name__
    return Absent(f"there is no {text}: {kind} has no {part}", (text, kind, str(part)))
