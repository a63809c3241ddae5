"""`conforms`: a ready property test of one implementation."""

import unittest
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from opcheck import backends, specs
from opcheck.backends import environment
from opcheck.backends.allowance import allowance
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Op
from opcheck.testing.strategies import trials
from opcheck.verification import directed
from opcheck.verification.casefile import Trial
from opcheck.verification.claims import chosen
from opcheck.verification.reach import within_reach
from opcheck.verification.report import Report, says_what_is_allowed, sentence
from opcheck.verification.run import check_trial

default_device = "cpu"  # the pytest plugin puts --opcheck-device here


def conforms(
    op: str,
    *,
    dtype: str = "float32",
    arrays: str = "",
    device: str | None = None,
    policies: Sequence[str] = ("exact", "real", "special"),
    claims: Sequence[str] | None = None,
    allow: str | Sequence[str] = (),
    settings: Any = None,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """A decorator that makes a property test: the function returns the implementation, hypothesis supplies the cases.

    After hypothesis's draws come special numbers at each kind of position, as in `opcheck.verify`. Every claim is
    checked on every case; a failure says which number is wrong, what it should be and which mistake it looks like, and
    hypothesis shrinks it. Without `device`, functions of torch tensors run on pytest's --opcheck-device; if that device
    is missing, the test is skipped. `allow`: lower precisions that are accepted, as in `opcheck.verify`; where there
    are
    any, the test prints which. `settings` are hypothesis' (settings(max_examples=1000)); without them its profile
    counts, but for the deadline, as the first case imports what the implementation needs. Raises Refused for an unknown
    operator, dtype or claim.

    >>> import numpy as np
    >>> @conforms("relu")
    ... def test_relu():
    ...     return lambda x: np.maximum(x, 0)
    >>> test_relu()
    """
    operator = specs.get(op)
    wanted, permitted = chosen(claims), allowance(allow)

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        import hypothesis

        # hypothesis calls this once per case, so the implementation is created once and kept
        made: list[backends.Backend] = []

        def conformance(trial: Trial) -> None:
            if not made:
                made.append(_loaded(function(), arrays, device))
                made[0].allow = permitted
                if allowed := made[0].all_allowed(dtype):
                    print(says_what_is_allowed(allowed))
            check_conformance(operator, trial, made[0], wanted)

        def also(drawn: Callable[..., None]) -> Callable[..., None]:
            """Special numbers at each kind of position, after hypothesis has drawn and shrunk its cases."""

            @wraps(drawn)
            def test() -> None:
                drawn()
                for trial in planted_trials(operator, dtype, policies) if made else ():
                    check_conformance(operator, trial, made[0], wanted)

            return test

        conformance.__name__, conformance.__doc__ = function.__name__, function.__doc__
        conformance.__module__, conformance.__qualname__ = function.__module__, function.__qualname__
        supply: Any = hypothesis.given(trials(op, dtype, policies))
        # opcheck's own lines that only failing cases reach say nothing about the implementation
        phases = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]
        test: Callable[..., None] = (settings or hypothesis.settings(deadline=None, phases=phases))(supply(conformance))
        return also(test)

    return decorate


def planted_trials(op: Op, dtype: str, policies: Sequence[str]) -> list[Trial]:
    """The directed cases of an operator that are small: they are the same in every run."""
    planted = [k for k, plan in enumerate(directed.plans(op)) if isinstance(plan, directed.Planted)]
    found = [directed.trial(op, dtype, 0, k - directed.count(op)) for k in planted]
    return [trial.replace(address=()) for trial in found if trial.policy in policies]


def _loaded(candidate: Any, arrays: str, device: str | None) -> backends.Backend:
    if device is None:  # a suite with --opcheck-device cuda may hold numpy functions too
        device = default_device if arrays == "torch" or backends.takes_torch(candidate) else "cpu"
    try:
        return backends.load(candidate, arrays, device)
    except CouldNotRun as error:
        raise unittest.SkipTest(str(error)) from None


@environment.judging()
def check_conformance(op: Any, trial: Trial, backend: backends.Backend, wanted: Any) -> None:
    """Fail with a sentence for a person if a claim does not hold on this trial."""
    __tracebackhide__ = True
    report = Report(backend=backend.name, version=backend.version())
    possible = within_reach(op, trial, backend, report)
    if possible is None:
        return
    check_trial(op, possible, backend, report, wanted)
    if report.failures:
        from opcheck.verification.diagnosis.diagnose import looks_like

        first = report.failures[0]
        looks = looks_like(op, [first], backend)
        more = say("\nlooks like: {names}", names=", ".join(looks)) if looks else ""
        params = ", ".join(f"{name}={value!r}" for name, value in possible.case.params.items())
        arrays = "".join(f"\n{name} = {array.tolist()}" for name, array in possible.case.arrays.items())
        raise AssertionError(f"{op.name} {first.claim}: {sentence(first)}{more}\n{params}{arrays}")
