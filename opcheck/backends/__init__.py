"""Implementations that can be verified, one file each; imported when they are asked for."""

import importlib
import inspect
import sys
from typing import Any

from opcheck import definitions, loading
from opcheck.backends import environment, patches
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


def load(implementation: Any = "torch", arrays: str = "", device: str = "cpu") -> Backend:
    """A backend from its name, from FILE.py:NAME, from module:NAME, or from a callable; raises Refused, CouldNotRun.

    `arrays` says what a function takes, "numpy" or "torch"; without it, torch if it is a torch class and numpy if not.
    """
    try:
        return _loaded(implementation, arrays, device)
    finally:
        environment.settle()


def _loaded(implementation: Any, arrays: str, device: str) -> Backend:
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
    patches.remember(implementation if isinstance(implementation, str) else "")
    name = ""
    if isinstance(implementation, str) and (foreign := outside(implementation, device)):
        return foreign
    if isinstance(implementation, str):
        name, implementation = implementation, found(implementation)
    if not callable(implementation):
        raise Refused(say("an implementation must be a function"), got=f"{implementation!r}")
    return function_backend(implementation, arrays, device, name)


def outside(place: str, device: str) -> Backend | None:
    """The candidate at FILE.so:NAME, or behind sh:COMMAND; None for what is in Python."""
    from opcheck.backends import foreign

    if not place.startswith(foreign.SHELL) and not foreign.is_library(place):
        return None
    if device != "cpu":
        raise Refused(say("commands and functions in C run on the CPU"), got=f"--device {device}")
    return foreign.Command(place) if place.startswith(foreign.SHELL) else foreign.Library(place)


def found(place: str) -> Any:
    """The candidate at FILE.py:NAME or module:NAME, or of a solution in JSON; raises Refused."""
    if place.endswith(".json"):
        return definitions.solution(place)
    if not loading.is_place(place):
        raise Refused(
            say("--impl is a backend, FILE.py:NAME or module:NAME"),
            got=repr(place),
            fix=say("backends: {names}", names=", ".join(KNOWN)),
        )
    return loading.find(place)


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
    if str(getattr(candidate, "__module__", "")).partition(".")[0] == "torch":  # a built-in function of torch
        return True
    home = sys.modules.get(getattr(candidate, "__module__", ""), None)
    names = vars(home) if home is not None else getattr(candidate, "__globals__", {})
    return any(value is torch or value is torch.nn.functional for value in names.values())


__all__ = ["KNOWN", "Backend", "Malformed", "NoCounterpart", "Session", "load"]
