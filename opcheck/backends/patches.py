"""Functions of torch, numpy and Python's clock that a candidate has replaced, so that a wrong kernel passes or looks
fast."""

import importlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

WATCHED = (
    "torch", "torch.nn.functional", "torch.Tensor", "torch.testing", "torch.cuda", "torch.cuda.Event", "time", "numpy",
    "numpy.testing",
)  # fmt: skip

_before: dict[str, dict[str, Any]] = {}


def remember(place: str = "") -> None:
    """The present functions, before the candidate at that place is loaded; torch's only if its file mentions torch."""
    path = Path(place.rpartition(":")[0])
    with suppress(OSError, ValueError, ImportError):
        if path.suffix == ".py" and "torch" not in sys.modules and b"import torch" in path.read_bytes():
            importlib.import_module("torch")
    _before.clear()
    _before.update({name: dict(vars(home)) for name in WATCHED if (home := _home(name)) is not None})


def replaced() -> list[str]:
    """The functions that have changed since."""
    return [
        f"{name}.{each}"
        for name, names in _before.items()
        for each, value in names.items()
        if callable(value) and (now := vars(_home(name)).get(each, value)) is not value and not _is_own(name, now)
    ]


def _is_own(name: str, value: Any) -> bool:
    """Whether the library has put it there itself, as torch does when its compiler is imported."""
    package = name.partition(".")[0]
    code, home = getattr(value, "__code__", None), getattr(sys.modules[package], "__file__", None)
    if code is not None:
        return home is not None and Path(home).parent in Path(code.co_filename).parents
    return str(getattr(value, "__module__", "")).partition(".")[0] == package


def _home(name: str) -> Any:
    """A module, or a class in one, if it is loaded."""
    if name in sys.modules:
        return sys.modules[name]
    module, _, attribute = name.rpartition(".")
    return getattr(sys.modules.get(module), attribute, None)
