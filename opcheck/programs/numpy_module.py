"""numpy as the program of a file sees it: what it makes of plain numbers may be filled with traced arrays.

`out = np.zeros(n)` gives an array of numbers, into which numpy would have to put a number where a program assigns a
traced one. So a file that opcheck loads sees this module for numpy: while the program is recorded, arrays of zeros,
ones and so on are traced constants that may be filled; np.array and np.asarray of traced arrays are traced; of what is
made of np.arange it is known how (`tables`). Everything else is numpy's, and all of it is where nothing is recorded.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from opcheck.programs.arrays import TracedArray, current
from opcheck.programs.tables import table


def _made(function: Callable[..., Any]) -> Callable[..., Any]:
    """np.zeros and the like: real arrays may be filled."""

    def make(*args: Any, **options: Any) -> Any:
        tape, array = current(), function(*args, **options)
        if tape is None or isinstance(array, TracedArray) or array.dtype.kind != "f":
            return array
        return tape.fresh(array)

    return make


def _full(shape: Any, fill_value: Any, *args: Any, **options: Any) -> Any:
    if isinstance(fill_value, TracedArray):
        return np.copy(np.broadcast_to(fill_value, shape))
    return _made(np.full)(shape, fill_value, *args, **options)


def _array(function: Callable[..., Any], copies: bool) -> Callable[..., Any]:
    """np.array or np.asarray: also of traced arrays, and of nested lists of traced numbers."""

    def convert(x: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
        if not _is_traced(x):
            return function(x, dtype, *args, **options)
        found = x if isinstance(x, TracedArray) else np.stack([convert(each) for each in x])
        found = found if dtype is None else found.astype(dtype)
        return np.copy(found) if copies else found

    return convert


def _linspace(*args: Any, **options: Any) -> Any:
    made = np.linspace(*args, **options)
    return made if isinstance(made, tuple) else table(made)  # with retstep=True there are two


def _is_traced(x: Any) -> bool:
    return isinstance(x, TracedArray) or (isinstance(x, (list, tuple)) and any(map(_is_traced, x)))


OTHERS: dict[Any, Callable[..., Any]] = {
    np.zeros: _made(np.zeros), np.ones: _made(np.ones), np.empty: _made(np.zeros), np.full: _full,
    np.array: _array(np.array, True), np.asarray: _array(np.asarray, False),
    np.ascontiguousarray: _array(np.ascontiguousarray, False),
    np.arange: lambda *args, **options: table(np.arange(*args, **options)),
    np.linspace: _linspace,
}  # fmt: skip


class _Numpy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


NUMPY = _Numpy("numpy")
NUMPY.__dict__.update({function.__name__: other for function, other in OTHERS.items()})


def open_to_traces(names: dict[str, Any]) -> None:
    """Lets the program whose global names these are fill arrays."""
    for name, value in list(names.items()):
        if value is np:
            names[name] = NUMPY
        elif callable(value) and getattr(value, "__module__", None) == "numpy" and value in OTHERS:
            names[name] = OTHERS[value]
