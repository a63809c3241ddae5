"""Whether a wrong kernel is refused: a run that ends with its first failure, of which nothing is made smaller."""

import secrets

import numpy as np

from opcheck.verification import claims
from opcheck.verification.directed import count
from opcheck.verification.report import Report
from opcheck.verification.run import Shard, askable, check_trial, trials
from opcheck.verification.watcher import NOBODY


def refusal(op, backend, cases, seed=None, wanted=None, apart_from=()):
    """The first failure within the directed cases and so many random ones, other than of the claims `apart_from`, or
    None; and the seed, which nobody knows before if it is not given."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    report = Report(seed=seed)
    with np.errstate(all="ignore"):
        for index, made in trials(op, Shard(op.name, "float32", seed, -count(op), cases)):
            possible = askable(op, made, backend, report, NOBODY)
            if possible is None:
                continue
            check_trial(op, possible, backend, report, claims.chosen(wanted), index, known=False)
            failures = [each for each in report.failures if each.claim not in apart_from]
            if failures:
                return failures[0], seed
    return None, seed
