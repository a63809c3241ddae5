"""`opcheck.verify`: operators, an implementation, dtypes and a budget become a report."""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from opcheck import specs
from opcheck.backends import environment
from opcheck.backends.allowance import allowance
from opcheck.language import say
from opcheck.operators.spec import Refused
from opcheck.verification.claims import chosen
from opcheck.verification.directed import count
from opcheck.verification.narrowing import Narrowing
from opcheck.verification.report import Report
from opcheck.verification.run import DEFAULT_CASES, Progress, Shard, quiet
from opcheck.verification.streams import scope_size
from opcheck.verification.truth.formats import format_of
from opcheck.verification.workers import sweep
from opcheck.verification.workers.worker import Target

MANY = 10**9  # trials of a run that is limited by time


@environment.judging()
def verify(
    op: specs.Spec | Sequence[specs.Spec],
    candidate: Any = "torch",
    arrays: str = "",
    dtype: str | Sequence[str] = "float32",
    device: str = "cpu",
    cases: int | None = None,
    seconds: float | None = None,
    seed: int | None = 0,
    *,
    fixed: Mapping[str, Any] | None = None,
    shapes: Mapping[str, str] | None = None,
    claims: Iterable[str] | None = None,
    executor: Executor | None = None,
    jobs: int = 0,
    exhaustive: bool = False,
    known: bool = True,
    allow: str | Iterable[str] = (),
    strict_precision: bool = False,
    stable: bool = False,
    timeout: float | None = None,
    progress: Progress = quiet,
) -> Report:
    """Check an implementation of one or several operators, or programs, against their definitions.

    op: a name, `FILE.py:NAME`, a function over arrays annotated with their shapes, an `Op`; or several of them.

    candidate: a function (called as torch.nn.functional is: differentiable inputs and targets by position, the rest by
    torch's names, where it differs from the default), the name of a backend ("torch", "jax", "onnx", ...), or a place
    ("kernels.py:conv2d"). arrays: "torch" (gradients by autograd) or "numpy" (gradients by candidate.vjp and .jvp).
    dtype: one or several of float64, float32, float16, bfloat16, or "float32,bfloat16". cases: random trials
    for each operator and dtype (default 300), after the directed ones, which are always the same number; seconds: time
    for each instead. seed: None for a fresh one; the report shows it. fixed: parameters with only one supported value:
    they are passed only if the candidate's signature takes them. shapes: those that it was written for, {"input": "N
    32"}: letters are sizes from 1, numbers are themselves. If the candidate's signature declares a default other than
    torch's, that default counts, and the report says so.
    claims: only these. executor: any concurrent.futures.Executor; jobs: that many worker processes, which survive
    crashes and hangs (0: in this process, for code that you trust). timeout: seconds that a worker process has for one
    case (default 60). exhaustive: every combination of the sampler's decisions;
    with `cases` as many of them, spread over the whole.
    known=False makes known deviations failures. allow: lower precisions to accept, ("tf32", "flush-to-zero"), besides
    those that torch's switches allow on CUDA; "none", or strict_precision, allows nothing. stable: a form that
    loses the digits of small results, where a stable one exists, fails; else the report counts it.

    Raises Refused for bad arguments and CouldNotRun for a missing library or device.

    >>> import numpy as np
    >>> report = verify("linear", lambda x, w: x @ w.T, arrays="numpy", cases=10)
    >>> report.agrees, sorted(report.left_out)
    (True, [('linear', 'bias')])
    """
    several: Iterable[Any] = op if isinstance(op, (list, tuple, set)) else [op]
    whole = [specs.get(each) for each in several]
    narrowing = Narrowing(dict(fixed or {}), dict(shapes or {}))
    narrowing = narrowing.beside(whole[0], candidate) if len(whole) == 1 else narrowing
    ops = [narrowing.of(each) for each in whole]
    dtypes = dtype.split(",") if isinstance(dtype, str) else list(dtype)
    for each in dtypes:
        format_of(each)
    _check_budget(cases, seconds, timeout)
    wanted = None if claims is None else list(claims)
    permitted = allowance(allow, strict_precision)
    chosen(wanted)  # before anything is loaded
    seed = secrets.randbelow(2**32) if seed is None else seed
    many = cases or (DEFAULT_CASES if seconds is None else MANY)
    shards = [
        Shard(each.name, kind, seed, 0, min(cases or MANY, scope_size(each)))
        if exhaustive
        else Shard(each.name, kind, seed, -count(each), many)
        for each in ops
        for kind in dtypes
    ]
    start = time.perf_counter()
    options: dict[str, Any] = {"seconds": seconds, "wanted": wanted, "known": known, "exhaustive": exhaustive}
    target = Target(candidate, arrays, device, narrowing, permitted, stable)
    report = sweep.run(shards, target, options, jobs, executor, progress, timeout or sweep.PATIENCE)
    report.seed, report.seconds = seed, time.perf_counter() - start
    return report


def _check_budget(cases: int | None, seconds: float | None, timeout: float | None) -> None:
    if cases is not None and cases < 1:
        raise Refused(say("cases must be at least 1"), got=str(cases))
    if seconds is not None and not seconds > 0:
        raise Refused(say("seconds must be more than 0"), got=str(seconds))
    if timeout is not None and not timeout > 0:
        raise Refused(say("timeout must be more than 0"), got=str(timeout))
