"""What the verifier asks of an implementation: open one call, then read outputs, gradients and tangents from it."""

import inspect
import re
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np

from opcheck.backends import guarded
from opcheck.backends.allowance import DEFAULTS, storage
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Array, Case, Input, Op, Shape

Outputs = dict[str, Array]


class NoCounterpart(Exception):
    """The implementation lacks something that a check needs (a parameter, forward mode): the check is skipped and
    counted."""


class Malformed(Exception):
    """The implementation's answer is not what a call of the operator returns."""


class Session(ABC):
    """One call of an implementation. `outputs` runs it; the others may run it again."""

    changed: tuple[str, ...] = ()  # inputs that the call modified, known after it ran
    changed_cotangent = False  # whether `vjp` modified what it was given
    dtypes: Mapping[str, str]  # dtype of each output, known after it ran

    takes_out = False  # whether `into` can be asked
    adds_up = False  # whether the gradients of one array that is given for several inputs come as their sum

    @abstractmethod
    def attempt(self) -> None:
        """Make the call and ignore what it returns: for arguments that must be refused."""

    @abstractmethod
    def outputs(self) -> Outputs:
        """Every output by name: real ones in float64, whole numbers in int64."""

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        """The gradient of each differentiable input; raises NoCounterpart if there is none."""
        raise NoCounterpart(say("no gradients"))

    def freeze(self, names: Collection[str]) -> None:
        """Before the call: these inputs need no gradient."""
        raise NoCounterpart(say("gradients cannot be requested one by one"))

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        """The tangent of each differentiable output; raises NoCounterpart."""
        raise NoCounterpart(say("no forward mode"))

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        """The gradient of the sum of directions * vjp; raises NoCounterpart."""
        raise NoCounterpart(say("no second derivative"))

    def shares_memory(self) -> tuple[str, ...]:
        """Outputs whose memory is an input's."""
        return ()

    def renewed(self, arrays: Mapping[str, Array]) -> Outputs:
        """The outputs of another call, with these numbers in the memory that the last one used; raises
        NoCounterpart."""
        raise NoCounterpart(say("no memory of its own"))

    def alias(self, names: Sequence[str]) -> None:
        """Before the call: one array is given for all of these inputs; raises NoCounterpart."""
        raise NoCounterpart(say("inputs are no arrays in memory"))

    def into(self, name: str = "") -> Outputs:
        """What lies in `out` after a call that was given it: an array of its own, or the input of that name; raises
        NoCounterpart."""
        raise NoCounterpart(say("no argument out"))


class Backend(ABC):
    """An implementation of one or of all operators."""

    name: str
    layouts: tuple[str, ...] = ("contiguous",)
    guards: tuple[str, ...] = ()  # layouts beside guard pages, for processes that may crash
    concurrent = True  # whether two threads may call it at once
    compiles = False  # whether new parameters need a compilation, which is slow
    freezes = False  # whether its sessions can give the gradients of only some inputs
    allow = DEFAULTS  # the lower precisions that it is allowed
    stable = False  # whether a form that loses digits is a failure
    has_tensor_cores = False  # whether its machine has them: elsewhere their sums are no explanation

    def version(self) -> str:
        """Library and version, for the report."""
        return ""

    def settings(self) -> dict[str, Any]:
        """Switches that change the numbers (TF32, reduced-precision reductions), for the report."""
        return {}

    def lower(self, dtype: str, convolves: bool) -> frozenset[str]:
        """The lower precisions that are allowed by default, for convolutions or for other products."""
        return storage(dtype)

    def allowed(self, dtype: str, convolves: bool) -> frozenset[str]:
        """All lower precisions that it is allowed at this moment."""
        return self.allow.beside(self.lower(dtype, convolves))

    def all_allowed(self, dtype: str) -> frozenset[str]:
        """Those of every operator."""
        return self.allowed(dtype, False) | self.allowed(dtype, True)

    def modes(self) -> Mapping[str, Callable[[], AbstractContextManager[Any]]]:
        """Modes in which the same call must give the same outputs, in words: with gradients switched off, in inference
        mode."""
        return {}

    def is_lost(self) -> bool:
        """Whether the device no longer responds, so that this process can check nothing more on it."""
        return False

    def in_thread(self) -> Callable[[], None]:
        """What a thread must do before it calls the implementation, so that it computes as this thread does."""
        return lambda: None

    def library(self, op: Op, case: Case, dtype: str) -> frozenset[str]:
        """The operators of a library that do the work of a call, where it has candidates of other people."""
        return frozenset()

    def kin(self, op: Op, case: Case, dtype: str) -> str:
        """The backend whose own operation does the work of this call; its known deviations then apply."""
        return ""

    def unavailable(self, op: Op, dtype: str) -> str:
        """Why this backend cannot check `op` in `dtype`; empty if it can."""
        return ""

    def defaults(self, op: Op) -> dict[str, Any]:
        """The parameters for which this implementation declares a default other than torch's; asked once for each."""
        known: dict[Op, dict[str, Any]] = self.__dict__.setdefault("_defaults", {})
        if op not in known:
            known[op] = self.own_defaults(op)
        return known[op]

    def own_defaults(self, op: Op) -> dict[str, Any]:
        return {}

    def lacks(self, op: Op, case: Case) -> str:
        """What this backend lacks for this case (a parameter, an optional input); empty if nothing."""
        return ""

    @abstractmethod
    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        """Prepare one call; without `gradients` nothing is recorded for `vjp`."""


def named_outputs(
    op: Op, result: Any, shapes: Mapping[str, Shape], after: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a call returned, by output name; raises Malformed if the number of results is wrong. `after`: its inputs as
    they are now; what the call updates in place is read there unless it was returned.
    """
    if isinstance(result, Mapping) and set(result) == set(shapes):
        return dict(result)
    updated = op.updated(shapes) if after is not None else ()
    returned = [name for name in shapes if name not in updated]
    if len(returned) == 1 and not isinstance(result, (tuple, list)):
        return {returned[0]: result, **_updated(updated, after)}
    if isinstance(result, (tuple, list)) and len(result) in (len(shapes), len(returned)):
        if len(result) == len(shapes):
            return dict(zip(shapes, result, strict=True))
        return {**dict(zip(returned, result, strict=True)), **_updated(updated, after)}
    got = (
        say("{n} results", n=len(result))
        if isinstance(result, (tuple, list))
        else say("one {type}", type=type(result).__name__)
    )
    raise Malformed(say("{op} returns {names} here; got {got}", op=op.name, names=", ".join(returned), got=got))


def _updated(names: Iterable[str], after: Mapping[str, Any] | None) -> dict[str, Any]:
    """Copies of these inputs, since a later call writes to them again."""
    found = {name: (after or {})[name] for name in names}
    return {name: each.clone() if hasattr(each, "clone") else each.copy() for name, each in found.items()}


def arguments(
    op: Op, tensors: Mapping[str, Any], params: Mapping[str, Any], function: Callable[..., Any] | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """How a candidate is called: differentiable and required inputs by position as far as they were all given and
    torch has no parameter before them, the rest by torch's names; parameters only where they differ from the default,
    or where the signature of `function` demands them; those that are fixed wherever it takes them, and nowhere else.
    What torch takes as a tuple is one argument. Behind a first input that cannot be differentiated (of an embedding)
    everything goes by name."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    given_inputs, by_position = op.gathered(tensors), True
    for argument in op.arguments:
        if not isinstance(argument, Input):
            by_position = False
            continue
        name = argument.part_of or argument.name
        if name in given_inputs:
            by_position = by_position and (argument.differentiable or not argument.optional)
            value = given_inputs.pop(name)
            if by_position:
                positional.append(value)
            else:
                keywords[name] = value
            by_position = by_position and (argument.differentiable or len(positional) > 1)
        elif argument.name not in tensors:
            by_position = False
            if argument.explicit:
                keywords[name] = None
    names = required(function)
    demanded = {each.name: each.default for each in op.params if each.name in names}
    passed = given(op, params)
    for each in op.params:
        if each.without is not None and passed.get(each.name) == each.without and not takes(function, each.name):
            del passed[each.name]
    for name, value in op.fixed.items():
        passed.pop(name, None)
        if takes(function, name):
            passed[name] = params.get(name, value)
    return op.packed(positional), {**keywords, **demanded, **passed}


def takes(function: Callable[..., Any] | None, name: str) -> bool:
    """Whether a function has an argument of that name."""
    if function is None:
        return True
    accepted = signature_of(function)
    return accepted is None or name in accepted or any(each.kind is each.VAR_KEYWORD for each in accepted.values())


def signature_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """The arguments of a function; for a built-in one, those in its documentation or torch's schema; None if there are
    none."""
    try:
        return _SIGNATURES[function]
    except (KeyError, TypeError):  # not asked before, or not hashable
        found = _signature_of(function)
    with suppress(TypeError):
        _SIGNATURES[function] = found
    return found


_SIGNATURES: MutableMapping[Any, Mapping[str, inspect.Parameter] | None] = weakref.WeakKeyDictionary()


def _signature_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return _documented(function) or _of_schema(function)


def _documented(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """From the first line of its documentation: conv2d(input, weight, bias=None, stride=1) -> Tensor."""
    name = getattr(function, "__name__", "")
    found = re.match(rf"\s*{re.escape(name)}(\([\w\s,*='\".-]*\))", function.__doc__ or "") if name else None
    if found is None:
        return None
    home: dict[str, Any] = {}
    try:
        exec(f"def documented{found[1]}: ...", home)
    except SyntaxError:
        return None
    return inspect.signature(home["documented"]).parameters


def _of_schema(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """From torch's schemas of a built-in function with that name."""
    torch, name = sys.modules.get("torch"), getattr(function, "__name__", "")
    if torch is None or str(getattr(function, "__module__", "")).partition(".")[0] != "torch":
        return None
    kind = inspect.Parameter
    found: dict[str, inspect.Parameter] = {}
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{name}"):
        for each in schema.arguments if not any(each.is_out for each in schema.arguments) else ():
            own = "input" if each.name == "self" else each.name
            default = each.default_value if each.has_default_value() else kind.empty
            found.setdefault(own, kind(own, kind.KEYWORD_ONLY if each.kwarg_only else kind.POSITIONAL_OR_KEYWORD,
                                       default=default))  # fmt: skip
    return found or None


def own_defaults(op: Op, function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters for which a function declares a default other than torch's, with that default; illegal values (a
    None that means something else) are left out."""
    accepted = signature_of(function) or {}
    found = {}
    several = any(each.kind is each.VAR_KEYWORD for each in accepted.values())
    for each in op.params:
        own = accepted[each.name].default if each.name in accepted else inspect.Parameter.empty
        if accepted and each.name not in accepted and not several:
            own = each.without
        if own in (inspect.Parameter.empty, None) or each.default is REQUIRED or each.name in op.fixed:
            continue
        with suppress(Refused):
            if each.default is None or each.kind.check(each.name, own) != each.kind.check(each.name, each.default):
                found[each.name] = each.kind.check(each.name, own)
    return found


def required(function: Callable[..., Any] | None) -> list[str]:
    """The names of a function's arguments that have no default."""
    accepted = (signature_of(function) or {}).values() if function is not None else ()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in accepted if each.default is inspect.Parameter.empty and each.kind not in several]


def given(op: Op, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that differ from torch's defaults."""
    defaults = {each.name: each.default for each in op.params}
    return {
        name: value
        for name, value in params.items()
        if type(value) is not type(defaults[name]) or value != defaults[name]
    }


def lacking(op: Op, case: Case, function: Callable[..., Any]) -> str:
    """The first argument of this case that the signature of `function` does not take, or that it demands and the case
    does not have; empty if the call fits."""
    accepted = signature_of(function)
    if accepted is None:  # it accepts anything
        return ""
    kinds = [each.kind for each in accepted.values()]
    positional, keywords = arguments(op, case.arrays, case.params, function)
    absent = [name for name in required(function)[len(positional) :] if name not in keywords]
    # a default that torch keeps for old programs (dim=None) is none of a function that asks for the argument
    absent += [each.name for each in op.params if each.default is None and each.without is not None
               and each.name in required(function) and case.params.get(each.name) is None]  # fmt: skip
    if absent:
        return say("calls without {name}", name=absent[0])
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return ""
    ours = list(dict.fromkeys(each.part_of or each.name for each in op.inputs))
    params = {each.name for each in op.params}
    for own, place in zip(ours[: len(positional)], accepted, strict=False):
        if place in params:  # f(input, weight, stride) has no place for a bias
            return own
    places = sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    if len(positional) > places and inspect.Parameter.VAR_POSITIONAL not in kinds:
        return ours[places]
    return next((name for name in keywords if name not in accepted), "")


def laid_out(array: Array, layout: str) -> Array:
    """The same numbers in another memory layout (numpy)."""
    if layout == "transposed" and array.ndim > 1:
        return np.asfortranarray(array)
    if layout == "strided" and array.ndim:
        room = np.repeat(array, 2, axis=-1)
        room[..., 1::2] = 0  # what lies between must not be read
        return room[..., ::2]
    if layout in guarded.LAYOUTS:
        return guarded.guarded(array, layout)
    if layout == "offset":
        room = np.zeros(array.size + 3, dtype=array.dtype)
        room[3:] = array.ravel()
        return room[3:].reshape(array.shape)
    return array
