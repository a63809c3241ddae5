"""A claim about how a result is produced: by the call itself, from its arguments, before it returns."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

import opcheck
from opcheck.backends import destination, patches
from opcheck.backends.base import Outputs, Session
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.spec import Array, Op
from opcheck.programs.names import watched
from opcheck.verification.check import Check, Finding, differs
from opcheck.verification.verdict import Status, Verdict

HOME = Path(opcheck.__file__).parent
LEFT = (np.nan, 4096.0, -4096.0)  # in memory that was never written
ALONE = threading.Lock()  # patches for one check must not be seen by another thread's
PATIENCE = 0.5  # seconds for work that continues after the call


def own(check: Check) -> Iterator[Finding]:
    """The answer is not the reference's, an input, a constant or unwritten memory; nothing is patched, and no work is
    left."""
    if check.op.draws or _is_empty(check):
        return
    finding = Finding("own", elements=sum(each.size for each in check.got.values()))
    # under other settings, or watched, a compiled call is compiled again
    questions = (_patched, _an_input) if check.backend.compiles else QUESTIONS
    with ALONE:
        message = next(filter(None, (question(check) for question in questions)), "")
    if message:
        finding.verdict = Verdict(Status.DIFFERS, "own", check.trial, message=message)
    yield finding


def _is_empty(check: Check) -> bool:
    """Whether there is nothing to compute: such a call does not show whose work the result is."""
    return not all(each.size for each in (*check.got.values(), *check.trial.case.arrays.values()))


def _patched(check: Check) -> str:
    found = patches.replaced()
    return say("it has replaced {names}", names=", ".join(found[:3])) if found else ""


def _of_the_reference(check: Check) -> str:
    with reference_calls(check.op, getattr(check.backend, "candidate", None)) as seen:
        check.open(gradients=False).outputs()
    return say("the call runs the reference: {names}", names=", ".join(sorted(seen))) if seen else ""


def _an_input(check: Check) -> str:
    """An input returned unchanged, unless that is right: a small step may round to no step at all. Where several inputs
    hold these numbers, which may be a mean of one of them, nothing is said."""
    arrays = check.trial.case.arrays
    for name, got in check.got.items():
        same = [each for each, array in arrays.items() if got.size > 1 and np.array_equal(got, array)]
        for each in same:
            if len(same) == 1 and _is_wrong(check, name, got):
                return say("{name} is the {each} that was given", name=name, each=each)
    return ""


def _is_wrong(check: Check, name: str, got: Array) -> bool:
    """Whether rounding does not explain it: a small optimiser step may leave a number unchanged."""
    if got.shape != check.expected[name].shape:
        return True
    f = check.f.tiers()[-1]
    wrong, *_ = differs(got, check.expected[name], check.tolerance("output", f, [name])[name], check.f)
    return bool(wrong.any())


def _a_constant(check: Check) -> str:
    """The same result for other numbers of the same shapes: a constant, or an earlier result."""
    other = None if check.trial.policy == "special" else _of_other_numbers(check, -0.5) or _of_other_numbers(check, 0.5)
    if other is None:
        return ""
    again = check.open(gradients=False).outputs(), other.open(gradients=False).outputs()
    for name in check.expected:
        first, second = again[0].get(name), again[1].get(name)
        if first is None or second is None or first.size < 2 or not np.array_equal(first, second):
            continue
        if _is_wrong(check, name, first) or _is_wrong(other, name, second):
            return say("different inputs of the same shapes give the same {name}", name=name)
    return ""


def _of_other_numbers(check: Check, factor: float) -> Check | None:
    """The call with its numbers in reverse order, times a factor; None where the operator refuses them."""
    arrays = {n: a if a.dtype.kind != "f" else a.ravel()[::-1].reshape(a.shape) * factor
              for n, a in check.trial.case.arrays.items()}  # fmt: skip
    try:
        return check.beside(check.trial.replace(case=check.trial.case._replace(arrays=arrays)))
    except Refused:
        return None


def _unwritten(check: Check) -> str:
    """Unwritten elements show what was in memory before: NaN there becomes NaN in the result; large numbers are tried
    too, since a maximum or a sum that drops NaN keeps them."""
    runs = []
    for number in LEFT:
        with filled(number):
            runs.append(check.open(gradients=False).outputs())
    for name, first in runs[0].items():
        before = check.got.get(name)
        if before is None or any(run[name].shape != before.shape for run in runs):
            continue
        if bool((np.isnan(first) & ~np.isnan(before)).any()):
            return say("{name} contains memory that was never written", name=name)
        wrong = [_is_wrong(check, name, run[name]) for run in runs]
        if any(wrong) and not all(wrong):
            return say("{name} depends on what its memory held before", name=name)
    return ""


def _later(check: Check) -> str:
    before = set(threading.enumerate())
    session = check.open(gradients=False)
    outputs = session.outputs()
    if lazy := _deferred(session):
        return lazy
    threads = [each for each in threading.enumerate() if each not in before]
    end = time.monotonic() + PATIENCE
    while threads and time.monotonic() < end:
        time.sleep(0.001)  # no join: another thread may have made one of them that has not begun
        threads = [each for each in threads if each.is_alive() or each.ident is None]
        if _changed(outputs, session.outputs()):
            return say("the call leaves work running after it has returned")
    return ""


def _deferred(session: Session) -> str:
    """Tensors whose class decides later what they are."""
    torch = sys.modules.get("torch")
    results: dict[str, Any] = getattr(session, "_results", None) or {}
    for name, each in results.items() if torch is not None else ():
        kind = type(each)
        own = (
            torch is not None and kind not in (torch.Tensor, torch.nn.Parameter) and "__torch_" in " ".join(vars(kind))
        )
        if own:
            return say("{name} is a {kind}, which may do its work later", name=name, kind=kind.__name__)
    return ""


def _changed(before: Outputs, after: Outputs) -> bool:
    return any(not np.array_equal(each, after[name], equal_nan=True) for name, each in before.items())


QUESTIONS = (_patched, _of_the_reference, _an_input, _a_constant, _unwritten, _later)


@contextmanager
def reference_calls(op: Op, candidate: Any) -> Iterator[set[str]]:
    """The names of what counts as the reference, as the code of a candidate calls them meanwhile."""
    spec = getattr(op, "function", None) or getattr(op, "kind", None)
    if spec is not None and spec in (candidate, type(candidate)):  # somebody verifies the spec itself
        yield set()
        return
    codes = {code: name for name, code in _codes(spec)}
    seen: set[str] = set()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call":
            return
        name = codes.get(frame.f_code) or _of_opcheck(frame)
        if name and _asked_by_the_candidate(frame.f_back):
            seen.add(name)

    with watched(profile):
        yield seen


def _codes(spec: Any) -> Iterator[tuple[str, CodeType]]:
    function = getattr(spec, "forward", spec)
    code = getattr(function, "__code__", None)
    if code is not None:
        yield function.__qualname__, code


def _of_opcheck(frame: FrameType) -> str:
    if frame.f_code.co_filename != str(HOME / "reference.py") or frame.f_code.co_name != "__call__":
        return ""
    return say("opcheck.reference")


def _asked_by_the_candidate(frame: FrameType | None) -> bool:
    """Whether the nearest frame of opcheck is one that calls a candidate, with code of others in between."""
    between = False
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if HOME in path.parents:
            return between and path.parent.name == "backends"
        between = True
        frame = frame.f_back
    return False


@contextmanager
def filled(number: float = np.nan) -> Iterator[None]:
    """numpy.empty, and where we allocate outputs, give arrays full of that number; torch.empty full of NaN."""
    with ExitStack() as stack:
        stack.enter_context(destination.left_over(number))
        torch = sys.modules.get("torch")
        if torch is not None:
            strict, warns = (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            )
            stack.callback(torch.use_deterministic_algorithms, strict, warn_only=warns)
            torch.use_deterministic_algorithms(True, warn_only=True)
        for name in ("empty", "empty_like"):
            made = getattr(np, name)
            stack.callback(setattr, np, name, made)
            setattr(np, name, _filling(made, number))
        yield


def _filling(made: Any, number: float) -> Any:
    def fill(*args: Any, **options: Any) -> Any:
        found = made(*args, **options)
        if found.dtype.kind == "f":
            found.fill(number)
        return found

    return fill
