"""Implementations that can be verified, one file each; imported when they are asked for."""

import importlib
import importlib.util
import inspect
import sys
import threading
from pathlib import Path
from typing import Any

from opcheck.backends.base import Backend, Malformed, NoCounterpart, Session
from opcheck.errors import Refused
from opcheck.language import say

# name on the command line: (module, class)
KNOWN = {
    "torch": ("torch_eager", "TorchEager"),
    "torch:compile": ("torch_compile", "TorchCompile"),
    "torch:func": ("torch_func", "TorchFunc"),
    "torch:autocast": ("torch_autocast", "TorchAutocast"),
    "jax": ("jax_numpy", "Jax"),
    "onnx": ("onnx_reference", "OnnxReference"),
    "onnxruntime": ("onnx_runtime", "OnnxRuntime"),
    "tinygrad": ("tiny", "Tinygrad"),
}

ON_CPU = ("jax", "onnx", "onnxruntime", "tinygrad")

_LOADING = threading.Lock()


def load(implementation: Any = "torch", arrays: str = "", device: str = "cpu") -> Backend:
    """A backend from its name, from FILE.py:NAME, from module:NAME, or from a callable; raises Refused, CouldNotRun.

    `arrays` says what a function takes, "numpy" or "torch"; without it, torch if it is a torch class and numpy if not.
    """
    if isinstance(implementation, Backend):
        return implementation
    if isinstance(implementation, str) and implementation in KNOWN:
        if device != "cpu" and implementation in ON_CPU:
            raise Refused(
                say("{name} runs on the CPU here", name=implementation),
                got=f"--device {device}",
                fix=say("--device cuda is for torch: its operators, functions of tensors and modules"),
            )
        module, name = KNOWN[implementation]
        kind = getattr(importlib.import_module(f"opcheck.backends.{module}"), name)
        backend: Backend = kind(device)
        return backend
    name = ""
    if isinstance(implementation, str):
        name, implementation = implementation, find(implementation)
    if not callable(implementation):
        raise Refused(say("an implementation is a function"), got=f"{implementation!r}")
    return function_backend(implementation, arrays, device, name)


def function_backend(candidate: Any, arrays: str, device: str, name: str = "") -> Backend:
    """A callable as a backend."""
    if arrays not in ("", "numpy", "torch"):
        raise Refused(say('arrays must be "numpy" or "torch"'), got=repr(arrays))
    from opcheck.backends.function import NumpyFunction, TorchFunction

    if not arrays:
        arrays = "torch" if device != "cpu" or takes_torch(candidate) else "numpy"
    if arrays == "torch":
        torch = importlib.import_module("opcheck.backends.tensors").require_torch()
        if isinstance(candidate, torch.nn.Module) or (
            inspect.isclass(candidate) and issubclass(candidate, torch.nn.Module)
        ):
            from opcheck.backends.torch_module import TorchModule

            module: Backend = TorchModule(candidate, device, name)
            return module
        return TorchFunction(candidate, device, name)
    if device != "cpu":
        raise Refused(say("numpy functions run on the CPU"), got=f"--device {device}")
    return NumpyFunction(candidate, name)


def takes_torch(candidate: Any) -> bool:
    """Whether a candidate is torch's by its class or by the module that defines it (which imports torch)."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(candidate, torch.nn.Module) or inspect.isclass(candidate):
        return True
    home = sys.modules.get(getattr(candidate, "__module__", ""), None)
    names = vars(home) if home is not None else getattr(candidate, "__globals__", {})
    return any(value is torch or value is torch.nn.functional for value in names.values())


def find(place: str) -> Any:
    """The object at FILE.py:NAME or module:NAME; raises Refused."""
    where, colon, name = place.rpartition(":")
    if not colon or not name:
        raise Refused(
            say("--impl is a backend, FILE.py:NAME or module:NAME"),
            got=repr(place),
            fix=say("backends: {names}", names=", ".join(KNOWN)),
        )
    home = load_file(Path(where)) if where.endswith(".py") else _import(where)
    found = home
    for part in name.split("."):
        if not hasattr(found, part):
            near = ", ".join(sorted(n for n, v in vars(home).items() if callable(v) and not n.startswith("_"))[:10])
            raise Refused(
                say("{where} has no {name}", where=where, name=part),
                fix=say("it has {near}", near=near) if near else "",
            )
        found = getattr(found, part)
    return found


def load_file(path: Path) -> Any:
    """A Python file as a module, once for each version of the file; what its own code raises is told in one message."""
    if not path.is_file():
        raise Refused(say("there is no file {path}", path=path))
    written = path.stat()
    name = f"opcheck_candidate_{abs(hash((path.resolve(), written.st_mtime_ns, written.st_size)))}"
    with _LOADING:  # a module that another thread is still executing lacks names
        if name not in sys.modules:
            _execute(name, path)
        return sys.modules[name]


def _execute(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))  # so that it finds its neighbours, as when it is run
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise Refused(say("{path} does not load", path=path), got=f"{type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(path.resolve().parent))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Refused(say("cannot import {name}", name=name), got=str(error)) from None


__all__ = ["KNOWN", "Backend", "Malformed", "NoCounterpart", "Session", "find", "load", "load_file"]
