"""What directed cases plant: special numbers at each kind of place, and structures along a row that blocks cut."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from opcheck.operators.spec import Array
from opcheck.verification.truth.formats import Format

NAN, INF = np.nan, np.inf
Number = float | Callable[[Format], float]  # itself, or what it is in a format


class Pattern(NamedTuple):
    """Numbers at one kind of place of an array; policy: how such a case is drawn and judged."""

    place: str
    numbers: tuple[Number, ...]
    policy: str = "special"

    def put(self, arrays: dict[str, Array], name: str, f: Format) -> dict[str, Array]:
        """The arrays with the pattern in that one, which has numbers."""
        x = arrays[name] = np.array(arrays[name])
        PLACES[self.place](x, *(each(f) if callable(each) else each for each in self.numbers))
        if self.place == "over zeros":
            for other, y in arrays.items():
                if other != name and y.dtype.kind == "f":
                    arrays[other] = np.where(np.arange(y.size).reshape(y.shape) % 2, y, 0.0)
        if self.place == "beside an equal input":
            for other, y in arrays.items():
                if other != name and y.dtype.kind == "f" and y.shape == x.shape:
                    arrays[other] = x + np.asarray(self.numbers[0])
                    break
        return arrays


def _first(x: Array, a: float, b: float | None = None) -> None:
    """a in the first corner, b in its neighbour along each axis."""
    _corner(x, 0, 1, a, b)


def _last(x: Array, a: float, b: float | None = None) -> None:
    """a in the last corner, b in its neighbour along each axis, which comes before it."""
    _corner(x, -1, -2, a, b)


def _corner(x: Array, corner: int, neighbour: int, a: float, b: float | None) -> None:
    for axis in range(x.ndim if b is not None else 0):
        if x.shape[axis] > 1:
            at = [corner] * x.ndim
            at[axis] = neighbour
            x[tuple(at)] = b
    x[(corner,) * x.ndim] = a


def _everywhere(x: Array, a: float, b: float | None = None) -> None:
    """a in all places, but b in the last one."""
    x[...] = a
    if b is not None:
        x.flat[-1] = b


def _row(x: Array, a: float) -> None:
    """a in the first row along the last axis."""
    x[(0,) * max(0, x.ndim - 1)] = a


def _alternating(x: Array, a: float, b: float) -> None:
    x.flat[::2], x.flat[1::2] = a, b


def _scaled(x: Array, a: float) -> None:
    """a is the largest magnitude."""
    x *= a / max(float(np.abs(x).max()), 2.0**-30)


PLACES: dict[str, Callable[..., None]] = {
    "first": _first,
    "last": _last,
    "everywhere": _everywhere,
    "row": _row,
    "alternating": _alternating,
    "scaled": _scaled,
    "over zeros": _everywhere,
    "beside an equal input": lambda x, a: None,
}


def _largest(f: Format) -> float:
    return f.largest


def _smallest(f: Format) -> float:
    return float(2.0**f.lowest) if f.name == "bfloat16" else f.smallest  # see Format.eta


def _lowest(f: Format) -> float:
    return float(2.0**f.lowest)


def _minus(number: Callable[[Format], float]) -> Number:
    return lambda f: -number(f)


def _edge(part: float) -> Number:
    """A power of two at this part of the exponents of a format."""
    return lambda f: float(2.0 ** int(f.highest * part))


FIRST_INPUT = (
    *(Pattern(place, (a,)) for a in (NAN, INF, -INF) for place in ("first", "last", "everywhere", "row")),
    *(Pattern(place, pair) for place in ("first", "last")
      for pair in ((NAN, -INF), (NAN, INF), (INF, -INF), (-INF, INF), (INF, INF), (-INF, -INF), (-INF, NAN))),
    Pattern("over zeros", (INF,)), Pattern("over zeros", (NAN,)),  # a zero that is skipped leaves out 0·∞, which is NaN
    Pattern("everywhere", (-INF, 1.0)), Pattern("everywhere", (-INF, NAN)), Pattern("everywhere", (0.0, INF)),
    Pattern("first", (_largest,)), Pattern("last", (_minus(_largest),)), Pattern("first", (_largest, _largest)),
    Pattern("last", (_largest, _minus(_largest))),
    Pattern("first", (_smallest,)), Pattern("last", (_minus(_smallest),)),
    Pattern("first", (_lowest, -0.0)), Pattern("everywhere", (-0.0, 0.0)),
    *(Pattern("scaled", (_edge(part),)) for part in (0.95, 0.48, 0.3, -0.3)),
    *(Pattern("everywhere", (a,), "exact") for a in (0.0, 0.5, 1.0, -1.0)),
    Pattern("alternating", (0.0, 1.0), "exact"), Pattern("first", (0.0, 0.0), "real"), Pattern("last", (0.0,), "real"),
    Pattern("beside an equal input", (0.0,), "exact"), Pattern("beside an equal input", (1.0,), "exact"),
)  # fmt: skip
OTHER_INPUTS = (
    Pattern("over zeros", (INF,)), Pattern("over zeros", (NAN,)),
    Pattern("first", (NAN,)), Pattern("last", (INF,)), Pattern("first", (-INF, -INF)), Pattern("everywhere", (-INF,)),
    Pattern("first", (_smallest,)), Pattern("scaled", (_edge(0.48),)),
    Pattern("everywhere", (0.0,), "exact"), Pattern("last", (0.0,), "real"),
)  # fmt: skip


class Structure(NamedTuple):
    """Numbers along the last axis of an array; the later choices are for inputs that do not take those of the first."""

    choices: tuple[Callable[[Array, np.random.Generator], Array], ...]
    special: bool = False


def _ramp(x: Array, rng: np.random.Generator) -> Array:
    return np.linspace(-8.0, 8.0, x.shape[-1]) + rng.normal(size=x.shape) / 8


def _sorted(x: Array, rng: np.random.Generator) -> Array:
    return np.sort(x, axis=-1)


def _down(structure: Callable[[Array, np.random.Generator], Array]) -> Callable[[Array, np.random.Generator], Array]:
    return lambda x, rng: structure(x, rng)[..., ::-1]


def _peak(where: float) -> Callable[[Array, np.random.Generator], Array]:
    """Twice the largest number in one place; where that is no legal input, the largest moves there."""
    return lambda x, rng: _with(x, where, 2 * np.abs(x).max(initial=1.0))


def _moved(where: float) -> Callable[[Array, np.random.Generator], Array]:
    return lambda x, rng: _with(x, where, x.max())


def _with(x: Array, where: float, number: float) -> Array:
    found = np.array(x)
    found[..., round(where * (x.shape[-1] - 1))] = number
    return found


def _one(number: float, where: float) -> Structure:
    return Structure((lambda x, rng: _with(x, where, number),), special=True)


def _half(first: bool) -> Structure:
    def structure(x: Array, rng: np.random.Generator) -> Array:
        found, half = np.array(x), x.shape[-1] // 2 + 1
        found[..., :half] = -INF
        return found if first else found[..., ::-1]

    return Structure((structure,), special=True)


STRUCTURES = {
    "rising": Structure((_ramp, _sorted)),
    "falling": Structure((_down(_ramp), _down(_sorted))),
    "maximum first": Structure((_peak(0.0), _moved(0.0))),
    "maximum in the middle": Structure((_peak(0.5), _moved(0.5))),
    "maximum last": Structure((_peak(1.0), _moved(1.0))),
    "first half -inf": _half(first=True),
    "last half -inf": _half(first=False),
    "nan in the middle": _one(NAN, 0.5),
    "nan last": _one(NAN, 1.0),
    "inf first": _one(INF, 0.0),
    "-inf last": _one(-INF, 1.0),
}
