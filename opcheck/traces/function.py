"""`opcheck.trace`: an expression or a Python function becomes a trace."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

from opcheck.errors import Refused, RefusedType, told
from opcheck.language import say
from opcheck.loading import line_of, load_file
from opcheck.traces.path import KnownTape, plain_python
from opcheck.traces.scalar.expression import parse
from opcheck.traces.scalar.trace import Trace
from opcheck.tracing import TracedControlFlowError, Tracer


def trace(
    function: str | Callable[..., Any],
    at: Mapping[str, Any] | None = None,
    *,
    wrt: Iterable[str] | None = None,
    exact: bool = False,
) -> Any:
    """The trace of an expression or of a Python function at the inputs `at`.

    function: text such as "ln(x1) + x1*x2 - sin(x2)" (several outputs are separated by commas), or a Python function
        of numbers or of numpy arrays. Loops, helper functions and functions of math are fine; what it decides by values
        (if x > 0) is recorded along the path taken at this point, and the trace says so.
    at: each input's number or array, by name. Parameters of a function that are left out keep their defaults: floats
        and arrays of floats become inputs, anything else (n=3) is passed as it is.
    wrt: the inputs to differentiate by (default: all). exact: fractions where the function is rational, 50 digits where
        it is not (functions of numbers only).

    Returns a `Trace` (numbers) or an `ArrayTrace` (arrays). Raises opcheck.Refused for what cannot be traced.
    """
    at = dict(at or {})
    if isinstance(function, str):
        return _expression(function, at, wrt, exact)
    if not callable(function):
        raise RefusedType(say("only an expression (text) or a function can be traced"), got=type(function).__name__)
    inputs, fixed = bound(function, at)
    name = getattr(function, "__name__", "f")
    if any(is_array(x) for x in (*inputs.values(), *fixed.values())):
        from opcheck.traces.tensor.trace import trace_arrays

        if exact:
            raise Refused(say("exact numbers need a function of numbers, and this one takes arrays"))
        return trace_arrays(function, inputs, fixed, name, wrt)
    tape = KnownTape()
    leaves = {each: tape.input(each, number(each, x)) for each, x in inputs.items()}
    with plain_python(function):
        results = returned(function, leaves | fixed)
    outputs = [out if isinstance(out, Tracer) else tape.constant(result_of(name, out)) for out in results]
    title = f"{name}({', '.join(leaves)})"
    return Trace(tape.path(*outputs), title, wrt=wrt, exact_numbers=exact, notes=tape.decisions.notes())


def _expression(text: str, at: Mapping[str, Any], wrt: Iterable[str] | None, exact: bool) -> Trace:
    expression = parse(text)
    unused = [name for name in at if name not in expression.names]
    if unused:
        fix = say("its variables are {names}", names=", ".join(expression.names) or say("none"))
        pairs = (("".join(pair), "*".join(pair)) for pair in permutations(at, 2))
        meant = [product for word, product in pairs if word in expression.names and word not in at]
        if meant:
            fix += say("; for a product, write the sign: {product}", product=meant[0])
        raise Refused(
            say("{name} has a value but does not appear in the expression", name=unused[0]), got=text, fix=fix
        )
    graph = expression.record({name: number(name, x) for name, x in at.items()}, exact)
    return Trace(graph, expression.text.strip(), wrt=wrt, exact_numbers=exact, notes=expression.notes)


def is_array(x: Any) -> bool:
    return isinstance(x, list) or getattr(x, "ndim", 0) > 0


def number(name: str, x: Any) -> Any:
    """`x` as a number to trace; raises Refused if it is not a number."""
    item = x.item() if hasattr(x, "item") and not is_array(x) else x
    if isinstance(item, bool) or not isinstance(item, (int, float, Fraction)):
        fix = say("arrays are for a function: FILE.py:NAME, or a Python function in the API") if is_array(x) else ""
        raise RefusedType(say("{name} must be a real number", name=name), got=repr(x), fix=fix)
    return item


def bound(function: Callable[..., Any], at: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs of a function by name, and what is passed as it is; raises Refused for a name without a value."""
    name = getattr(function, "__name__", "f")
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_POSITIONAL or each.kind is each.POSITIONAL_ONLY for each in parameters.values()):
        raise Refused(
            say("{name} must name its parameters: *args and positional-only ones cannot be given by name", name=name)
        )
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    for each in at:
        if each not in parameters and not open_ended:
            known = ", ".join(parameters) or say("none")
            raise Refused(
                say("{name} has no parameter {each}", name=name, each=each),
                fix=say("its parameters are {known}", known=known),
            )
    inputs, fixed = dict[str, Any](), dict[str, Any]()
    for each, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if each in at:
            inputs[each] = at[each]
        elif parameter.default is inspect.Parameter.empty:
            raise Refused(
                say("{each} of {name} has no value", each=each, name=name),
                fix=say("give it one: --at {each}=2 (in Python: at={{{quoted}: 2}})", each=each, quoted=repr(each)),
            )
        else:
            real = (
                isinstance(parameter.default, float)
                or getattr(getattr(parameter.default, "dtype", None), "kind", "") == "f"
            )
            (inputs if real else fixed)[each] = parameter.default
    return inputs | {each: x for each, x in at.items() if each not in inputs}, fixed


def returned(function: Callable[..., Any], arguments: Mapping[str, Any]) -> list[Any]:
    """What the function returned, as a list; what it raised becomes a Refused that names the line."""
    name = getattr(function, "__name__", "f")
    try:
        result = function(**arguments)
    except TracedControlFlowError as error:
        raise RefusedType(str(error), got=line_of(error)) from None
    except Refused as error:
        raise type(error)(error.rule, got=error.got, fix="; ".join(filter(None, (error.fix, line_of(error))))) from None
    except (Exception, SystemExit) as error:
        if isinstance(error.__cause__, TracedControlFlowError):  # out[i] = x: numpy puts its own error in front
            raise RefusedType(str(error.__cause__), got=line_of(error)) from None
        raise Refused(
            say("{name} raised {kind}: {error}", name=name, kind=type(error).__name__, error=told(error)),
            got=line_of(error),
        ) from error
    if result is None:
        raise Refused(say("{name} returned nothing", name=name), fix=say("end it with: return ..."))
    results = list(result.values()) if isinstance(result, dict) else result
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    if not results:
        raise Refused(say("{name} returned nothing", name=name), fix=say("end it with: return ..."))
    for each in results:
        if isinstance(each, str | bytes) or each is None:
            raise not_numbers(name, each)
    return results


def result_of(name: str, x: Any) -> Any:
    """A number that a function returned and that was not traced; raises RefusedType for anything else."""
    item = x.item() if hasattr(x, "item") and getattr(x, "size", 1) == 1 else x
    if not isinstance(item, (int, float, Fraction)):
        raise not_numbers(name, x)
    try:
        float(item)
    except OverflowError:
        raise RefusedType(
            say("{name} returned a number that is too large for float64 (1.8e308 at most)", name=name)
        ) from None
    return item


def not_numbers(name: str, x: Any) -> RefusedType:
    """The message about a result that is neither a number nor an array."""
    kind = getattr(x, "dtype", None)
    got = repr(x) if isinstance(x, str | bytes) or x is None else type(x).__name__
    got = got if kind is None else say("{type} of {dtype}", type=got, dtype=kind)
    return RefusedType(say("{name} must return numbers or arrays", name=name), got=got)


def load(path: Path, name: str) -> Callable[..., Any]:
    """The function `name` of a Python file; raises Refused if there is none."""
    module = load_file(path)
    if "numpy" in sys.modules:
        from opcheck.programs.numpy_module import open_to_traces

        open_to_traces(vars(module))
    function = getattr(module, name, None)
    if not callable(function):
        own = {key: value for key, value in vars(module).items() if inspect.isfunction(value)}
        found = [key for key, value in own.items() if value.__module__ == module.__name__]
        raise Refused(
            say("{path} has no function {name}", path=path, name=name),
            fix=say("it has {found}", found=", ".join(found) or say("no functions")),
        )
    result: Callable[..., Any] = function
    return result
