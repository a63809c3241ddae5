"""Times side by side: every contender runs in every round, so that a noisy machine disturbs all of them alike.

Times are by the clock, as a user waits. On a machine that others use as well a call is interrupted now and then, so
that a round takes the least of several calls; what is said is the ratio of two contenders within a round, the median
over many rounds. The milliseconds beside it are the least that were seen.
"""

import ctypes
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Run = Callable[[], object]


def taken(
    contenders: Mapping[str, Run],
    rounds: int = 15,
    at_least: float = 0.01,
    at_most: float = 6.0,
    before: Run | None = None,
) -> dict[str, list[float]]:
    """Seconds that a call of each contender took in each round: the least of as many calls as take `at_least` seconds.

    A contender that has had `at_most` seconds takes part in no more rounds. `before` runs before each call, off the
    clock.
    """
    calls = {name: _calls(run, at_least, before) for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if sum(times[name]) * calls[name] < at_most:
                times[name].append(_least(run, calls[name], before))
    return times


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as long as `theirs` ours took: the median over the rounds that both took part in."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=False))


def give_memory_back() -> None:
    """What this process has freed goes to the kernel: the next call works in fresh memory, as the first one does."""
    ctypes.CDLL(None).malloc_trim(0)


def _calls(run: Run, at_least: float, before: Run | None) -> int:
    run()  # the first call pays for imports and caches
    return max(1, round(at_least / max(_least(run, 1, before), 1e-9)))


def _least(run: Run, calls: int, before: Run | None) -> float:
    found = math.inf
    for _ in range(calls):
        if before is not None:
            before()
        start = time.perf_counter()
        run()
        found = min(found, time.perf_counter() - start)
    return found
