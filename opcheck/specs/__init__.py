"""The one interface: a spec is an operator or a program, and no other code needs to know which.

`get` takes what users have: an operator's name, `FILE.py:NAME` or `module:NAME`, a Python function over arrays, an
`Op`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opcheck import loading
from opcheck.errors import Refused, RefusedType
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Op

Spec = str | Op | Callable[..., Any]

_VERSIONS: dict[str, Any] = {}  # of the files of those that are FILE.py:NAME or a definition, FILE.json
_LOADED: dict[str, Op] = {}  # specs from outside by name: a case says its operator by name


def get(spec: Spec) -> Op:
    """The operator or program that `spec` stands for; raises Refused if it is neither.

    >>> get("softmax").name
    'softmax'
    """
    if isinstance(spec, str):
        if spec in _LOADED and not _is_edited(spec):
            return _LOADED[spec]
        if spec.endswith(".py"):
            raise which(spec)
        path = spec.partition(".json")[0] + ".json"
        if spec == path or spec.startswith(f"{path}:"):
            from opcheck.definitions import reference

            function = reference(path)
            name = f"{path}:{function.__name__}"
            _VERSIONS[name] = _version(name)
            return _kept(made(function, name))
        if not loading.is_place(spec):
            return catalog.get(spec)
        _VERSIONS[spec] = _version(spec)
        return _kept(made(loading.find(spec), spec))
    return _kept(made(spec))


def _version(spec: str) -> Any:
    """When the file of FILE.py:NAME was written, and how long it is; None where there is no file."""
    path = Path(spec.rpartition(":")[0])
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None


def _is_edited(spec: str) -> bool:
    """Whether the file of a spec says something else than when it was loaded: who edits it means the new one."""
    return _VERSIONS.get(spec) is not None and _version(spec) not in (None, _VERSIONS[spec])


def which(path: str) -> Refused:
    """The error for a file without a name: it lists the specs in the file."""
    home = loading.load_file(Path(path))
    found = [name for name, each in vars(home).items() if not name.startswith("_") and is_spec(each, home.__name__)]
    if not found:
        return Refused(
            say("{path} has no spec", path=path),
            fix=say('a spec is a function over arrays, def f(x: "N In", eps=1e-5): ..., an Op or a torch.nn.Module'),
        )
    return Refused(say("which spec of {path}?", path=path), fix=", ".join(f"{path}:{name}" for name in found))


def is_spec(value: Any, home: str) -> bool:
    """Whether a value of a file is a spec that it defines itself."""
    if isinstance(value, Op):
        return True
    if getattr(value, "__module__", None) != home or not callable(value):
        return False
    if isinstance(value, type):
        return issubclass(value, Op) or _is_module(value)
    return any(isinstance(each, str) for each in getattr(value, "__annotations__", {}).values())


def title(name: str) -> str:
    """The name of a spec as people say it, without its file."""
    return name.rpartition(":")[2]


def made(found: Any, name: str = "") -> Op:
    """What was found, as an operator; `name`: what it was found by."""
    if isinstance(found, type) and issubclass(found, Op):
        found = _built(found)
    if isinstance(found, Op):
        if name:
            found.name, found.title = name, name.rpartition(":")[2]
            found.elsewhere = type(found).torch is not Op.torch  # it may say what its counterpart is
        return found
    if _is_module(found):
        from opcheck.specs.captured import captured

        return captured(found, name)
    if _is_generated(found):
        from opcheck.specs.generated import generated

        return generated(found, name)
    if callable(found):
        return _function(found, name)
    raise RefusedType(
        say("a spec is an operator's name, FILE.py:NAME, or a Python function over arrays"), got=type(found).__name__
    )


def _built(kind: type[Op]) -> Op:
    """An operator from a user's class; raises Refused for missing declarations."""
    missing = [name for name in (*DECLARED, *sorted(kind.__abstractmethods__)) if not hasattr(kind, name)
               or name in kind.__abstractmethods__]  # fmt: skip
    if missing:
        raise Refused(
            say("the operator {name} is not complete", name=kind.__name__),
            got=say("an operator without {names}", names=", ".join(missing)),
            fix=say("CONTRIBUTING.md shows a complete one"),
        )
    return kind()


DECLARED = ("name", "summary", "formula", "source", "arguments", "outputs")


def _function(found: Callable[..., Any], name: str) -> Op:
    """A Python function as an operator: over numpy's arrays, or over torch's tensors if it is written with torch."""
    if "torch" in sys.modules:
        from opcheck.specs.captured import CapturedFunction, uses_torch

        if uses_torch(found):
            return CapturedFunction(found, name)
    from opcheck.specs.function import Function

    return Function(found, name)


def _is_generated(found: Any) -> bool:
    """Whether this is a reference of one argument, with generate_input beside it."""
    if "generate_input" not in getattr(found, "__globals__", {}):
        return False
    from opcheck.specs.generated import is_reference

    return is_reference(found)


def _is_module(found: Any) -> bool:
    """Whether this is a class of torch.nn.Module; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(found, type) and issubclass(found, torch.nn.Module)


def _kept(op: Op) -> Op:
    """The operator, registered under a name that is never one of the catalogue's."""
    if ":" not in op.name and not _is_of_the_catalogue(op):
        op.name = op.name if _is_free(op.name) else f"{_home(op)}:{op.name}"
    _LOADED[op.name] = op
    return op


def _is_of_the_catalogue(op: Op) -> bool:
    return any(op is each for each in catalog.every())


def _is_free(name: str) -> bool:
    try:
        catalog.get(name)
    except catalog.UnknownOperator:
        return True
    return False


def _home(op: Op) -> str:
    """The module that defines a user's spec."""
    written = getattr(op, "function", None) or getattr(op, "kind", None) or type(op)
    return str(getattr(written, "__module__", "spec"))


__all__ = ["Spec", "get", "title", "which"]
