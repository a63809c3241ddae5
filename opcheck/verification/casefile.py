"""Trials and case files: one call with its dtype, layout, cotangent and tangents, saved so that it replays bit for bit.

A case file is JSON, `"schema": "opcheck.case/1"`; floats are written in hexadecimal (`float.hex`), so nothing is lost.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from opcheck.backends.guarded import LAYOUTS as GUARDS
from opcheck.errors import told
from opcheck.files import shown
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Refused, Shape

SCHEMA = "opcheck.case/1"
DTYPES = ("float64", "float32", "float16", "bfloat16")
LAYOUTS = ("contiguous", "transposed", "strided", "offset", "channels_last", "expanded", *GUARDS)


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
    block: int = 0  # one of its sizes is near twice this number
    before: Case | None = None  # another call, which comes first
    alone: bool = False  # it may crash the process: it runs in one that can be replaced

    def __post_init__(self) -> None:
        if self.case.dtype != self.dtype:
            object.__setattr__(self, "case", self.case._replace(dtype=self.dtype))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints beside a message that has the numbers already."""
        printer.text(f"<{self.case.op} {self.dtype}: {self.policy} numbers, {self.layout} memory>")

    @property
    def seeds(self) -> list[int]:
        """What is drawn for it later depends on these numbers of its address."""
        return [abs(each) for each in self.address[2:]]

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
        **({"before": _case(trial.before)} if trial.before else {}),
        **_case(trial.case),
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
            _read_case(_word(data, "op"), data),
            dtype=_word(data, "dtype", allowed=DTYPES),
            policy=_word(data, "policy", "real"),
            layout=_word(data, "layout", "contiguous", allowed=LAYOUTS),
            cotangent=_read(data.get("cotangent", {})),
            tangents=_read(data.get("tangents", {})),
            address=_address(data.get("address", [])),
            frozen=tuple(data.get("frozen", ())),
            fixed=tuple(data.get("fixed", ())),
            before=_read_case(_word(data, "op"), data["before"]) if "before" in data else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise _damaged(f"{type(error).__name__}: {told(error)}") from None


def _damaged(got: str) -> Refused:
    return Refused(say("this case file is damaged"), got=got)


def _word(data: Mapping[str, Any], field: str, default: str | None = None, allowed: Sequence[str] = ()) -> str:
    """A text field; raises ValueError if it is not text or not allowed."""
    found = data[field] if default is None else data.get(field, default)
    if not isinstance(found, str) or (allowed and found not in allowed):
        raise ValueError(say("{field} cannot be {found!r}", field=field, found=found))
    return found


def _address(data: Any) -> tuple[Any, ...]:
    """(operator, dtype, seed, index), the same without a seed, or nothing: what is drawn later depends on them. The
    index of a directed case is below 0."""
    kinds = [type(each) for each in data]
    if kinds not in ([], [str, str, int], [str, str, int, int]) or any(each < 0 for each in data[2:3]):
        raise ValueError(say("address cannot be {data!r}", data=data))
    return tuple(data)


def check(op: Op, trial: Trial, data: Mapping[str, Any], fatal: bool = False) -> None:
    """Raises Refused if a trial is not a call of the operator, or if `data` contradicts it.

    fatal: the call ends its process before it is asked for anything else.
    """
    arrays, inputs = trial.case.arrays, {each.name: each for each in op.inputs}
    for name, each in inputs.items():
        if name not in arrays and not each.optional:
            raise _damaged(say("{op} needs {name}", op=op.name, name=name))
    for name, array in arrays.items():
        if name not in inputs or (not inputs[name].whole and array.dtype.kind != "f"):
            raise _damaged(say("{name} is not an input of {op}", name=name, op=op.name))
    outputs: Mapping[str, Shape] = {}
    if trial.before is not None:
        op.checked(trial.before)
    if data.get("claim") != "refuses":  # nothing else is asked of such a call
        try:
            outputs = op.checked(trial.case)[1]
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise _damaged(told(error)) from None
    if outputs and not fatal:
        moving = [
            k for k, each in inputs.items() if each.differentiable and k in arrays and arrays[k].dtype.kind == "f"
        ]
        _alike("cotangent", trial.cotangent, {k: v for k, v in outputs.items() if op.output(k).differentiable})
        _alike("tangents", trial.tangents, {k: arrays[k].shape for k in moving})
    known = ("", *inputs, *(each.name for each in op.outputs))
    if not all(name in arrays for name in trial.frozen) or data.get("name", "") not in known:
        raise _damaged(say("it names no array of {op}", op=op.name))
    place = data.get("at", [])
    if not isinstance(place, list) or not all(isinstance(k, int) for k in place):
        raise _damaged(say("at is a list of whole numbers"))
    for number in ("expected", "got", "bound"):
        try:
            if data.get(number) is not None:
                float.fromhex(data[number])
        except (TypeError, ValueError, OverflowError):
            raise _damaged(say("{field} is a number in hexadecimal, or null", field=number)) from None


def _alike(what: str, given: Mapping[str, Array], shapes: Mapping[str, Shape]) -> None:
    """A direction for each array that moves, or for none."""
    found = {name: array.shape for name, array in given.items()}
    if found and (found != shapes or any(array.dtype.kind != "f" for array in given.values())):
        raise _damaged(say("{what}: {found}, and not {shapes}", what=what, found=found, shapes=shapes))


def load(path: str | Path) -> dict[str, Any]:
    """The JSON of a case file; raises Refused if there is none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(say("cannot read the case file"), got=f"{shown(path)}: {error.strerror}") from None
    except RecursionError:
        raise Refused(say("a case file is JSON"), got=say("{path}: nested too deeply", path=path)) from None
    except ValueError as error:
        raise Refused(say("a case file is JSON"), got=f"{shown(path)}: {error}") from None
    if not isinstance(data, dict):
        raise Refused(say("a case file is a JSON object"), got=type(data).__name__)
    return data


def number_to_json(x: float) -> str:
    """A float without loss: hexadecimal, or nan, inf, -inf.

    >>> number_to_json(0.1), float.fromhex(number_to_json(0.1)) == 0.1
    ('0x1.999999999999ap-4', True)
    """
    return float(x).hex()


def _case(case: Case) -> dict[str, Any]:
    return {"params": {name: _plain(value) for name, value in case.params.items()}, "arrays": _arrays(case.arrays)}


def _read_case(op: str, data: Mapping[str, Any]) -> Case:
    return Case(op, _read(data["arrays"]), {name: _tuples(value) for name, value in data["params"].items()})


def _arrays(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _array(array) for name, array in arrays.items()}


def _array(array: Array) -> dict[str, Any]:
    flat = array.ravel().tolist()
    data = [number_to_json(x) for x in flat] if array.dtype.kind == "f" else flat
    return {"shape": list(array.shape), "dtype": str(array.dtype), "data": data}


def _read(arrays: Mapping[str, Any]) -> dict[str, Array]:
    return {name: _read_array(each) for name, each in arrays.items()}


def _read_array(each: Mapping[str, Any]) -> Array:
    name = _word(each, "dtype")
    dtype = np.dtype(name if name.isidentifier() else "O")
    if dtype.kind not in "fiub":
        raise ValueError(say("{field} cannot be {found!r}", field="dtype", found=name))
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
