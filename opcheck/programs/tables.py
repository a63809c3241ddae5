"""Tables that a program makes of plain numbers: positions, frequencies, windows.

No traced array is in np.cos(np.arange(n) * frequency), so numpy computes it in float64, and a kernel would have to know
the table to all of its digits. A `Table` is an array of numbers like any other to Python and numpy; beside them it is
recorded how they were made, so that they are rounded where a kernel rounds them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.programs.arrays import TracedArray, current


class Table(np.ndarray[Any, Any]):
    """Numbers of a program; `recorded`: how they were made. What has no rule gives numbers without such a record."""

    recorded: TracedArray | None = None

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        if any(isinstance(each, TracedArray) for each in args):
            return NotImplemented  # the traced array records it, and reads this one by `ArrayTape.lifted`
        plain = {name: _read(np.asarray, value) for name, value in options.items()}
        found = _beside(lambda *each: getattr(ufunc, method)(*each, **plain), args, records=not options)
        out = options.get("out", (found,))  # in place: its record is not that of its numbers, and counts no more
        return out[0] if len(out) == 1 else out

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        plain = {name: _read(np.asarray, value) for name, value in kwargs.items()}
        return _beside(lambda *each: function(*each, **plain), args, records=kwargs.get("out") is None)

    def __getitem__(self, index: Any) -> Any:
        return _beside(lambda x: x[index], (self,))

    def reshape(self, *shape: Any, **options: Any) -> Any:
        return _beside(lambda x: x.reshape(*shape, **options), (self,))

    def transpose(self, *axes: Any) -> Any:
        return _beside(lambda x: x.transpose(*axes), (self,))

    @property
    def T(self) -> Any:  # noqa: N802  # numpy's name
        return self.transpose()


def table(values: Any) -> Any:
    """Numbers that a program starts from, such as those of np.arange; plain ones where nothing but numbers is read."""
    tape = current()
    return values if tape is None or tape.literal else _table(values, tape.constant(values))


def _table(values: Any, recorded: TracedArray) -> Table:
    made: Table = values.view(Table)
    made.recorded = recorded
    return made


def _beside(function: Callable[..., Any], args: Sequence[Any], records: bool = True) -> Any:
    """function(*args), and how that was made where it has a rule."""
    result = function(*(_read(np.asarray, each) for each in args))
    tape = current()
    if not records or tape is None or not isinstance(result, np.ndarray) or result.dtype.kind not in "fiu":
        return result
    try:
        made = function(*(_read(tape.lifted, each) for each in args))
    except (TypeError, ValueError, IndexError, AttributeError):  # no rule: numbers alone
        return result
    return _table(result, made) if isinstance(made, TracedArray) else result


def _read(how: Callable[[Any], Any], x: Any) -> Any:
    """An argument whose tables, also those in a list, are read as `how` has it."""
    if isinstance(x, (list, tuple)):
        return type(x)(_read(how, each) for each in x)
    return how(x) if isinstance(x, Table) else x


__all__ = ["Table", "table"]
