"""Trials and case files: one call with its dtype, layout, cotangent and tangents, saved so that it replays bit for bit.

A case file is JSON, `"schema": "opcheck.case/1"`; floats are written in hexadecimal (`float.hex`), so nothing is lost.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.spec import Array, Case, Refused

SCHEMA = "opcheck.case/1"
LAYOUTS = ("contiguous", "transposed", "strided", "offset", "channels_last", "expanded")


@dataclass(frozen=True)
class Trial:
    """Everything that one check needs: arrays are float64 that hold numbers of `dtype`, or whole numbers."""

    case: Case
    dtype: str = "float32"
    policy: str = "real"  # how the values were drawn: exact, real, special
    layout: str = "contiguous"
    cotangent: dict[str, Array] = field(default_factory=dict)  # by output
    tangents: dict[str, Array] = field(default_factory=dict)  # by input
    address: tuple[Any, ...] = ()  # (operator, dtype, seed, index)
    frozen: tuple[str, ...] = ()  # inputs that need no gradient
    fixed: tuple[str, ...] = ()  # parameters that the implementation may have no choice of

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints beside a message that has the numbers already."""
        printer.text(f"<{self.case.op} {self.dtype}: {self.policy} numbers, {self.layout} memory>")

    def replace(self, **changes: Any) -> "Trial":
        return replace(self, **changes)


def to_json(trial: Trial, **more: Any) -> dict[str, Any]:
    """A trial as JSON values; `more` is written beside it (claim, expected, got)."""
    return {
        "schema": SCHEMA,
        "op": trial.case.op,
        "dtype": trial.dtype,
        "policy": trial.policy,
        "layout": trial.layout,
        "address": list(trial.address),
        "frozen": list(trial.frozen),
        **({"fixed": list(trial.fixed)} if trial.fixed else {}),
        "params": {name: _plain(value) for name, value in trial.case.params.items()},
        "arrays": _arrays(trial.case.arrays),
        "cotangent": _arrays(trial.cotangent),
        "tangents": _arrays(trial.tangents),
        **more,
    }


def from_json(data: Any) -> Trial:
    """The trial that `to_json` wrote; raises Refused for anything else."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
        raise Refused(
            say("a case file is JSON with schema {schema}", schema=SCHEMA),
            got=repr(found),
            fix=say("opcheck verify writes one for each failure"),
        )
    try:
        return Trial(
            Case(data["op"], _read(data["arrays"]), {k: _tuples(v) for k, v in data["params"].items()}),
            dtype=data["dtype"],
            policy=data.get("policy", "real"),
            layout=data.get("layout", "contiguous"),
            cotangent=_read(data.get("cotangent", {})),
            tangents=_read(data.get("tangents", {})),
            address=tuple(data.get("address", ())),
            frozen=tuple(data.get("frozen", ())),
            fixed=tuple(data.get("fixed", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(say("this case file is damaged"), got=f"{type(error).__name__}: {error}") from None


def load(path: str | Path) -> dict[str, Any]:
    """The JSON of a case file; raises Refused where there is none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(say("cannot read the case file"), got=f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise Refused(say("a case file is JSON"), got=f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise Refused(say("a case file is a JSON object"), got=type(data).__name__)
    return data


def number_to_json(x: float) -> str:
    """A float without loss: hexadecimal, or nan, inf, -inf.

    >>> number_to_json(0.1), float.fromhex(number_to_json(0.1)) == 0.1
    ('0x1.999999999999ap-4', True)
    """
    return float(x).hex()


def _arrays(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _array(array) for name, array in arrays.items()}


def _array(array: Array) -> dict[str, Any]:
    flat = array.ravel().tolist()
    data = [number_to_json(x) for x in flat] if array.dtype.kind == "f" else flat
    return {"shape": list(array.shape), "dtype": str(array.dtype), "data": data}


def _read(arrays: Mapping[str, Any]) -> dict[str, Array]:
    return {name: _read_array(each) for name, each in arrays.items()}


def _read_array(each: Mapping[str, Any]) -> Array:
    dtype = np.dtype(each["dtype"])
    if dtype.kind not in "fiub":
        raise ValueError(f"arrays of {dtype}")
    data = [float.fromhex(x) for x in each["data"]] if dtype.kind == "f" else each["data"]
    return np.array(data, dtype=dtype).reshape([int(n) for n in each["shape"]])


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return {"hex": value.hex()} if isinstance(value, float) else value


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(each) for each in value)
    return float.fromhex(value["hex"]) if isinstance(value, dict) else value
