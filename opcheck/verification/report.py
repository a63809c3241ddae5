"""What a run found: one row for each operator, dtype and claim, and the verdicts that failed. Reports merge."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opcheck.language import counted, say
from opcheck.verification import causes
from opcheck.verification.casefile import Trial, number_to_json, to_json
from opcheck.verification.check import OVERFLOW, Finding, Readings
from opcheck.verification.pace import Slow
from opcheck.verification.verdict import Status, Verdict

SCHEMA = "opcheck.report/1"
KEPT = 8  # failing trials of one claim and cause that are kept: enough for a diagnosis
OF_GRADIENTS = ("adjoint", "second", "frozen")  # claims that an implementation without gradients does not make
LOST = (Status.TIMED_OUT, Status.CRASHED, Status.MEMORY, Status.NOT_RUN)  # of which the shapes say most
MOST_CAUSES = 4  # of one claim whose failures are kept

Key = tuple[str, str, str]  # operator, dtype, claim


@dataclass
class Row:
    """One claim of one operator in one dtype, over all trials."""

    cases: int = 0
    elements: int = 0
    free: int = 0
    lost: int = 0  # of these: where the spec overflows,
    overflows: int = 0  # and in how many cases it does
    failed: int = 0
    causes: Counter[str] = field(default_factory=Counter)  # of the failures
    known: int = 0
    precisions: Counter[tuple[str, ...]] = field(default_factory=Counter)  # the lower precisions that explain a case
    ratio: float = 0.0  # the worst error of those that agree, as a fraction of its bound
    tier: str = ""  # the loosest way of computing that was needed (bfloat16, float16)
    forms: Counter[str] = field(default_factory=Counter)  # what a form loses that agrees, and in how many cases
    seconds: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)  # why a claim was not checked, and how often

    def add(self, finding: Finding, seconds: float = 0.0) -> None:
        self.seconds += seconds
        if finding.left_out:
            self.left_out[finding.left_out] += 1
            return
        self.cases += 1
        self.elements += finding.elements
        self.free += finding.free
        self.lost, self.overflows = self.lost + finding.lost, self.overflows + (finding.lost > 0)
        if finding.verdict is None:
            self.ratio = max(self.ratio, finding.ratio)
            self.tier = max(self.tier, finding.tier)
            self.forms.update([finding.form] if finding.form else [])
        elif finding.verdict.status is Status.KNOWN:
            self.known += 1
        elif finding.verdict.status is Status.LOWER_PRECISION:
            self.precisions[finding.verdict.details["precision"]] += 1
            self.tier = max(self.tier, finding.tier)
        else:
            self.failed += 1
            self.causes[finding.verdict.cause] += 1

    def merge(self, other: "Row") -> None:
        self.cases += other.cases
        self.elements += other.elements
        self.free += other.free
        self.lost, self.overflows = self.lost + other.lost, self.overflows + other.overflows
        self.failed += other.failed
        self.causes += other.causes
        self.known += other.known
        self.precisions += other.precisions
        self.forms += other.forms
        self.ratio, self.tier = max(self.ratio, other.ratio), max(self.tier, other.tier)
        self.seconds += other.seconds
        self.left_out += other.left_out


@dataclass
class Report:
    """The result of `opcheck.verify`.

    >>> report = Report(backend="torch", seed=0)
    >>> report.agrees, report.counterexample is None
    (True, True)
    """

    backend: str = ""
    version: str = ""
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    rows: dict[Key, Row] = field(default_factory=dict)
    failures: list[Verdict] = field(default_factory=list)  # at most KEPT of one row and cause
    seen: dict[tuple[str, str], list[causes.Seen]] = field(default_factory=dict)  # (operator, dtype): cases that ran
    known: list[Verdict] = field(default_factory=list)
    lower_precision: list[Verdict] = field(default_factory=list)  # the first of each row and name; rows count them
    not_run: dict[tuple[str, str], str] = field(default_factory=dict)  # (operator, dtype): why
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)  # (operator, why): cases
    asked: Counter[Key] = field(default_factory=Counter)  # cases in which a claim was judged,
    hidden: Counter[Key] = field(default_factory=Counter)  # and those in which what it stands on was wrong
    trials: int = 0  # random ones, or those of an enumeration
    directed: int = 0  # those that come before the random ones,
    wide: int = 0  # and how many of these have a size beyond a block
    failing: int = 0  # cases of either kind in which something fails
    random: Counter[tuple[str, str]] = field(default_factory=Counter)  # trials by operator and dtype
    slow: dict[str, Slow] = field(default_factory=dict)  # operators whose cases were cut, as calls take long
    late: set[tuple[str, str]] = field(default_factory=set)  # where time ran out before the first of them
    flushes: bool = False  # whether the implementation makes its process treat subnormal numbers as zero
    allowed: set[str] = field(default_factory=set)  # lower precisions that are accepted
    library: dict[str, set[str]] = field(default_factory=dict)  # operator: those of torch that do the work of a call
    readings: dict[tuple[str, str], Readings] = field(default_factory=dict)  # by operator and dtype: time they took
    blocks: set[int] = field(default_factory=set)  # sizes of the directed ones lie beside twice these many
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def agrees(self) -> bool:
        """Whether nothing failed. A run in which nothing could be checked does not agree: see `checked`."""
        return not any(row.failed for row in self.rows.values())

    @property
    def checked(self) -> bool:
        """Whether anything was checked at all."""
        return any(row.cases for row in self.rows.values())

    @property
    def verdicts(self) -> list[Verdict]:
        """One verdict a row: AGREES, or the first failure of each kind; then what was not run."""
        found = []
        for (op, dtype, claim), row in self.rows.items():
            failed = [each for each in self.failures if key_of(each) == (op, dtype, claim)]
            known = [each for each in self.known if key_of(each) == (op, dtype, claim)]
            lower = [each for each in self.lower_precision if key_of(each) == (op, dtype, claim)]
            if failed or lower:
                found.append((failed or lower)[0])
            elif known:
                found.append(known[0])
            elif row.cases:
                found.append(Verdict(Status.AGREES, claim, elements=row.elements, message=f"{op} {dtype}"))
            else:
                why = ", ".join(row.left_out)
                found.append(Verdict(Status.NOT_RUN, claim, message=f"{op} {dtype}: {why}"))
        for (op, dtype), why in self.not_run.items():
            found.append(Verdict(Status.NOT_RUN, "", message=f"{op} {dtype}: {why}"))
        return found

    @property
    def counterexample(self) -> Verdict | None:
        """The failure that tells most (minimal, where the run was asked to shrink), or None.

        A wrong number comes before an answer that is missing, and that before an argument that was not refused; among
        wrong numbers those that look like a known mistake come first.
        """
        return min(
            self.failures,
            key=lambda each: (each.claim == "refuses", each.got is None, not each.resembles),
            default=None,
        )

    @property
    def hardly_judged(self) -> list[Key]:
        """Claims of which little is known: in most cases what they stand on was wrong."""
        found = {(op, dtype) for (op, dtype, claim), row in self.rows.items() if row.cases and claim[:3] == "vjp"}
        return [
            key for key, cases in self.hidden.items()
            if cases > self.asked[key] and (key[2] not in OF_GRADIENTS or key[:2] in found)
        ]  # fmt: skip

    @property
    def cases(self) -> str:
        """How many cases ran, and of which kinds, in words."""
        every = number_of_cases(self.trials + self.directed)
        if not self.directed:
            return every
        return say("{cases} ({directed} directed, {wide} of them wide; {random} random)", cases=every,
                   directed=self.directed, wide=self.wide, random=self.trials)  # fmt: skip

    def slows(self, op: str, found: Slow) -> None:
        """Some cases were cut."""
        before = self.slow.get(op, Slow("", 0.0, 0))
        self.slow[op] = max(before, found, key=lambda each: each.seconds)._replace(cases=before.cases + found.cases)

    def row(self, op: str, dtype: str, claim: str) -> Row:
        return self.rows.setdefault((op, dtype, claim), Row())

    def count(self, index: int, made: Trial) -> None:
        """One more trial runs."""
        self.trials, self.directed = self.trials + (index >= 0), self.directed + (index < 0)
        self.random[made.case.op, made.dtype] += index >= 0
        self.wide += made.block > 0
        self.blocks |= {made.block} - {0}

    def add(self, op: str, dtype: str, finding: Finding, seconds: float = 0.0) -> None:
        """Count a finding and keep its verdict."""
        row = self.row(op, dtype, finding.claim)
        row.add(finding, seconds)
        verdict = finding.verdict
        if verdict is None:
            return
        if verdict.status is Status.KNOWN:
            self.known.append(verdict)
        elif verdict.status is Status.LOWER_PRECISION:
            self._keep_lower(verdict)
        elif row.causes[verdict.cause] <= KEPT and list(row.causes).index(verdict.cause) < MOST_CAUSES:
            self.failures.append(verdict)

    def remember(self, op: str, dtype: str, seen: causes.Seen) -> None:
        """What one case was and how its claims ended, so that failing cases can be told from agreeing ones."""
        rows = self.seen.setdefault((op, dtype), [])
        if len(rows) < causes.REMEMBERED:
            rows.append(seen)

    def enough(self, op: str, dtype: str, claim: str, cause: str) -> bool:
        """Whether this cause of this claim's failures was seen often enough to be explained; where much has failed,
        once is."""
        row = self.rows.get((op, dtype, claim))
        seen = 0 if row is None else row.overflows if cause == OVERFLOW else row.causes[cause]
        failed = sum(each.failed for (name, kind, _), each in self.rows.items() if (name, kind) == (op, dtype))
        return seen >= (KEPT if failed < 2 * KEPT else 1)

    def causes(self) -> dict[tuple[str, str], list[causes.Cause]]:
        """By operator and dtype: the causes of its failures, the most telling first."""
        return {key: found for key, seen in self.seen.items() if (found := causes.grouped(seen))}

    def _keep_lower(self, verdict: Verdict) -> None:
        """One example is enough: on a GPU a whole run may be in TF32."""
        if all(key_of(each) != key_of(verdict) for each in self.lower_precision):
            self.lower_precision.append(verdict)

    def precision_counts(self) -> dict[tuple[str, str], Counter[str]]:
        """By operator and dtype: how many checks each lower precision explains; the one that explains most comes first
        and takes what others explain too."""
        found: dict[tuple[str, str], Counter[str]] = {}
        for (op, dtype, _), row in self.rows.items():
            if row.precisions and (op, dtype) not in found:
                rows = [each for (a, b, _), each in self.rows.items() if (a, b) == (op, dtype)]
                found[op, dtype] = fewest(sum((each.precisions for each in rows), Counter()))
        return found

    def known_counts(self) -> Counter[str]:
        """How many cases each known deviation explained, by its name."""
        return Counter(str(each.details.get("known", "")) for each in self.known)

    def merge(self, other: "Report") -> None:
        """Add what another run (another shard of the same sweep) found."""
        self.backend, self.version = self.backend or other.backend, self.version or other.version
        self.settings = {**other.settings, **self.settings}
        self.allowed |= other.allowed
        self.flushes |= other.flushes
        for op, names in other.library.items():
            self.library.setdefault(op, set()).update(names)
        for key, row in other.rows.items():
            self.rows.setdefault(key, Row()).merge(row)
        self.failures += other.failures
        for (op, dtype), rows in other.seen.items():
            for each in rows:
                self.remember(op, dtype, each)
        self.known += other.known
        for verdict in other.lower_precision:
            self._keep_lower(verdict)
        self.not_run.update(other.not_run)
        self.left_out += other.left_out
        self.asked, self.hidden = self.asked + other.asked, self.hidden + other.hidden
        self.trials += other.trials
        self.directed, self.blocks = self.directed + other.directed, self.blocks | other.blocks
        self.wide, self.failing = self.wide + other.wide, self.failing + other.failing
        for op, slow in other.slow.items():
            self.slows(op, slow)
        self.random, self.late = self.random + other.random, self.late | other.late
        self.seconds += other.seconds
        self.interrupted |= other.interrupted

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; failing cases with their exact inputs."""
        return {
            "schema": SCHEMA,
            "agrees": self.agrees,
            "backend": self.backend,
            "version": self.version,
            "settings": self.settings,
            "allowed": sorted(self.allowed),
            "flushes_subnormal_numbers": self.flushes,
            "library": {op: sorted(names) for op, names in self.library.items() if names},
            "seed": self.seed,
            "trials": self.trials,
            "directed": self.directed,
            "wide": self.wide,
            "failing_cases": self.failing,
            "slow": [
                {"op": op, "cases": each.cases, "shapes": each.shapes, "seconds": each.seconds}
                for op, each in self.slow.items()
            ],
            "late": [{"op": op, "dtype": dtype} for op, dtype in sorted(self.late)],
            "blocks": sorted(self.blocks),
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "rows": [
                {"op": op, "dtype": dtype, "claim": claim, **row_to_json(row)}
                for (op, dtype, claim), row in self.rows.items()
            ],
            "failures": [verdict_to_json(each) for each in self.failures],
            "causes": [
                {
                    "op": op,
                    "dtype": dtype,
                    "claims": list(dict.fromkeys(claim for claim, _ in each.members)),
                    "failing": each.failing,
                    "agreeing": each.agreeing,
                    "condition": each.condition,
                    "agreeing_with_condition": each.hidden,
                }
                for (op, dtype), found in self.causes().items()
                for each in found
            ],
            "known": [verdict_to_json(each) for each in self.known],
            "lower_precision": [verdict_to_json(each) for each in self.lower_precision],
            "not_run": [{"op": op, "dtype": dtype, "why": why} for (op, dtype), why in self.not_run.items()],
            "left_out": [{"op": op, "why": why, "cases": n} for (op, why), n in self.left_out.items()],
            "hidden": [
                {"op": key[0], "dtype": key[1], "claim": key[2], "cases": self.hidden[key], "judged": self.asked[key]}
                for key in self.hardly_judged
            ],
        }

    def __str__(self) -> str:
        failed = sum(row.failed for row in self.rows.values())
        if failed:
            first = self.failures[0]
            differ = counted(failed, "{n} check differs", "{n} checks differ")
            return say("{differ}; first {claim}: {message}", differ=differ, claim=first.claim, message=sentence(first))
        lower = ", ".join(dict.fromkeys(name for each in self.precision_counts().values() for name in each))
        agree = counted(self.trials, "{n} case agrees", "{n} cases agree")
        return say("{agree}, some in lower precision: {names}", agree=agree, names=lower) if lower else agree


def number_of_cases(n: int) -> str:
    """How many cases, in words.

    >>> number_of_cases(1), number_of_cases(9)
    ('1 case', '9 cases')
    """
    return counted(n, "{n} case", "{n} cases")


def says_what_is_allowed(names: Iterable[str]) -> str:
    """Which lower precisions are accepted, in words.

    >>> says_what_is_allowed(())
    'lower precisions that are accepted: none'
    """
    return say("lower precisions that are accepted: {names}", names=", ".join(sorted(names)) or say("none"))


def fewest(explained: Counter[tuple[str, ...]]) -> Counter[str]:
    """Cases by the names that explain them, as few names as a greedy choice needs.

    >>> fewest(Counter({("TF32", "bfloat16 inputs"): 1, ("bfloat16 inputs",): 88}))
    Counter({'bfloat16 inputs': 89})
    """
    rest, found = dict(explained), Counter[str]()
    while rest:
        names = dict.fromkeys(name for row in rest for name in row)
        best = max(names, key=lambda name: sum(n for row, n in rest.items() if name in row))
        found[best] = sum(n for row, n in rest.items() if best in row)
        rest = {row: n for row, n in rest.items() if best not in row}
    return found


def row_to_json(row: Row) -> dict[str, Any]:
    return {
        "cases": row.cases,
        "elements": row.elements,
        "free": row.free,
        "lost": row.lost,
        "failed": row.failed,
        "known": row.known,
        "lower_precision": dict(fewest(row.precisions)),
        "forms": dict(row.forms),
        "worst_error_in_bounds": row.ratio,
        "tier": row.tier,
        "seconds": row.seconds,
        "left_out": dict(row.left_out),
    }


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict with its case, so that `opcheck replay` can run it again."""
    numbers = {"expected": verdict.expected, "got": verdict.got, "bound": verdict.bound}
    found = {
        "status": verdict.status.value,
        "claim": verdict.claim,
        "name": verdict.name,
        "at": list(verdict.at),
        "message": sentence(verdict),
        "resembles": list(verdict.resembles),
        "precision": list(verdict.details.get("precision", ())),
        "of": verdict.details.get("of", ""),
        "exact_by": verdict.details.get("exact_by", ""),
        "wrong": verdict.wrong,
        "elements": verdict.elements,
        **{name: None if x is None else number_to_json(x) for name, x in numbers.items()},
    }
    return {**found, "case": to_json(verdict.trial)} if verdict.trial else found


def shapes_of(trial: Trial) -> str:
    """The shapes of a case in words."""
    arrays = trial.case.arrays
    return ", ".join(f"{name} {'×'.join(map(str, array.shape)) or '()'}" for name, array in arrays.items())


def sentence(verdict: Verdict) -> str:
    """What a verdict says in one line."""
    if verdict.status in LOST and verdict.trial is not None:
        return say("{message} ({shapes})", message=verdict.message, shapes=shapes_of(verdict.trial))
    if verdict.expected is None or not verdict.name:
        return verdict.message
    what = say("the gradient of {name}", name=verdict.name) if verdict.of_gradient else verdict.name
    what = say("the tangent of {name}", name=verdict.name) if verdict.claim == "jvp" else what
    line = say(
        "{what}{at} is {got} but should be {expected}",
        what=what,
        at=list(verdict.at) if verdict.at else "",
        got=repr(verdict.got),
        expected=repr(verdict.expected),
    )
    if verdict.bound and verdict.error_in_bounds < float("inf"):
        many = verdict.error_in_bounds >= 1e6  # beyond that the figure says how small the bound is, not how wrong
        n = say("more than a million") if many else f"{verdict.error_in_bounds:.3g}"
        line += say(", an error of {n} bounds", n=n)
    if verdict.elements > 1:
        line += say("; {wrong} of {n} elements are wrong", wrong=verdict.wrong, n=verdict.elements)
    return f"{line} ({verdict.message})" if verdict.message else line


def key_of(verdict: Verdict) -> Key:
    """The row that a verdict belongs to."""
    trial = verdict.trial
    return (trial.case.op, trial.dtype, verdict.claim) if trial else ("", "", verdict.claim)
