"""Medians side by side: every contender runs in every round, so that a noisy machine disturbs all of them alike.

Times are this process's processor time: on one thread that is the time on an idle machine.
"""

import statistics
import time
from collections.abc import Callable, Mapping

Run = Callable[[], object]


def medians(
    contenders: Mapping[str, Run],
    rounds: int = 15,
    at_least: float = 0.01,
    at_most: float = 6.0,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Seconds a call of each contender: the median of `rounds`, each of as many calls as take `at_least` seconds.

    A contender that has had `at_most` seconds takes part in no more rounds.
    """
    calls = {name: _calls(run, at_least, clock) for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if sum(times[name]) * calls[name] < at_most:
                times[name].append(_seconds(run, calls[name], clock) / calls[name])
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _calls(run: Run, at_least: float, clock: Callable[[], float]) -> int:
    run()  # the first call pays for imports and caches
    return max(1, round(at_least / max(_seconds(run, 1, clock), 1e-9)))


def _seconds(run: Run, calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        run()
    return clock() - start
