"""The list of known deviations: every entry has its exact value, deviates as described, and covers nothing else."""

import dataclasses
import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from opcheck import backends
from opcheck.errors import CouldNotRun
from opcheck.operators import catalog
from opcheck.operators.spec import Refused
from opcheck.verification import claims, known
from opcheck.verification.check import Check
from opcheck.verification.report import Report
from opcheck.verification.run import check_again, check_trial
from opcheck.verification.truth.definition import Definition, as_float
from opcheck.verification.verdict import Status, Verdict
from opcheck.verification.workers.alone import Alone
from opcheck.verification.workers.worker import Target

ENTRIES = pytest.mark.parametrize("entry", known.every(), ids=lambda each: each.name)


def exactly(entry):
    """The exact value of an entry's element, by the definition."""
    trial = entry.trial()
    if entry.claims == ("refuses",):
        with pytest.raises(Refused):
            catalog.get(trial.case.op).checked(trial.case)
        return "refused"
    kind, name, at = re.fullmatch(r"((?:gradient|tangent|shape|second) of)? ?(\w+)(\[.*\])?", entry.element).groups()
    if kind == "shape of":
        return catalog.get(trial.case.op).checked(trial.case)[1][name]
    at = tuple(int(i) for i in (at or "[]")[1:-1].split(",") if i)
    if kind == "second of":
        definition = Definition(catalog.get(trial.case.op), trial.case)
        nodes = definition.second(trial.cotangent, trial.tangents)[name]
        return as_float(definition.exactly(nodes[int(np.ravel_multi_index(at, trial.case.arrays[name].shape))]))
    return Check(catalog.get(trial.case.op), trial, backend=None).exact((kind or "output").split()[0], name, at).value


def stated(text):
    """The number, or the shape, that an entry writes."""
    if text == "refused":
        return text
    if text.startswith("("):
        return tuple(int(n) for n in text[1:-1].split(",") if n.strip())
    return float(Fraction(text)) if "/" in text else float(text)


@ENTRIES
def test_the_exact_value_is_that_of_the_definition(entry):
    assert repr(exactly(entry)) == repr(stated(entry.exact))


@ENTRIES
def test_every_known_deviation_still_deviates_as_described(entry):
    assert entry.trial().case.op == entry.operators[0]
    try:
        backend = backends.load(entry.backend)
    except CouldNotRun as error:
        pytest.skip(str(error))
    if not entry.concerns(backend.name, backend.version()):
        pytest.skip(f"described for version {entry.versions}; here is {backend.version()}")
    if entry.processor:
        import torch

        if torch.backends.cpu.get_cpu_capability() != entry.processor:
            pytest.skip(f"described for processors with {entry.processor}")
    counted = checked(entry, backend, known=True).known_counts()
    if entry.missing:
        rows = checked(entry, backend, known=False).rows.values()
        assert counted[entry.name] == sum(sum(row.left_out.values()) for row in rows)
        assert all(any(each in why for row in rows for why in row.left_out) for each in entry.messages)
        return
    found = [
        each
        for _ in range(TRIES if entry.unwritten else 1)
        for each in checked(entry, backend, known=False).failures
        if each.claim in entry.claims
    ]
    assert found and all(entry.covers(each, backend.name, backend.version()) for each in found)
    if re.fullmatch(r"-?(nan|inf|\d.*)", entry.observed):
        numbers = [each for each in found if each.got is not None]  # what was raised has none
        wrong = [got for each in numbers for got, *_ in each.details.get("wrong", [(each.got,)])]
        assert entry.observed in [str(float(got)) for got in wrong]
    # a library may deviate from the second call on, in memory that it uses again
    again = (checked(entry, backend, known=True).known_counts()[entry.name] for _ in range(TRIES))
    assert counted[entry.name] or any(again)


TRIES = 40  # of what may be right by chance


def checked(entry, backend, known):
    trial = entry.trial().replace(layout="contiguous")  # the claim "layout" tries them all
    claim = json.loads(entry.case).get("claim", "")
    if entry.fatal:
        with Alone(Target(entry.backend), 60) as process:
            return process.check(trial, claim, known=known)
    report = Report(backend=backend.name, version=backend.version())
    if claim == "refuses":
        check_again(catalog.get(trial.case.op), trial, backend, report, claim, known=known)
    else:  # what the entry is about; each further claim would be one more compilation
        check_trial(catalog.get(trial.case.op), trial, backend, report, claims.chosen(entry.claims), known=known)
    return report


def test_the_page_of_known_deviations_is_up_to_date():
    page = Path(__file__).parents[2] / "KNOWN.md"
    assert page.read_text(encoding="utf-8") == known.page()


# --- what an entry covers ---------------------------------------------------------------------------------------------


ENTRY = known.find("torch-adam-moment-of-infinite-numbers")


def verdict(**changes):
    """A failure that the entry covers."""
    failure = Verdict(Status.DIFFERS, "special", ENTRY.trial(), "exp_avg", (0,), float("-inf"), float("nan"), 0.0)
    return dataclasses.replace(failure, **changes)


def test_an_entry_covers_its_answer_and_no_other():
    assert ENTRY.covers(verdict(), "torch", "torch 2.13.0+cpu")
    assert not ENTRY.covers(verdict(got=1.0), "torch", "torch 2.13.0+cpu")
    assert not ENTRY.covers(verdict(claim="exact"), "torch", "torch 2.13.0+cpu")
    assert not ENTRY.covers(verdict(got=None, message="raised RuntimeError"), "torch", "torch 2.13.0+cpu")


def test_every_wrong_element_must_be_as_described():
    nan, inf = float("nan"), float("inf")
    same = verdict(details={"wrong": [(nan, -inf, 0.0), (nan, inf, 0.0)]})
    other = verdict(details={"wrong": [(nan, -inf, 0.0), (2.0, 1.0, 0.5)]})
    assert ENTRY.covers(same, "torch", "torch 2.13.0") and not ENTRY.covers(other, "torch", "torch 2.13.0")


@pytest.mark.parametrize("backend", ["onnx", "kernels.py:adam", "torchy", "torch.adam"])
def test_an_entry_is_of_its_backend(backend):
    assert not ENTRY.covers(verdict(), backend, "torch 2.13.0")
    assert ENTRY.covers(verdict(), "torch:compile", "torch 2.13.0")


def test_an_entry_of_a_variant_is_not_one_of_the_whole():
    variant = dataclasses.replace(ENTRY, backend="torch:func")
    assert variant.covers(verdict(), "torch:func", "torch 2.13.0")
    assert not variant.covers(verdict(), "torch", "torch 2.13.0")


@pytest.mark.parametrize(("version", "covered"), [("torch 2.13", True), ("torch 2.13.1+cu128", True),
                                                  ("torch 2.130.0", False), ("torch 2.14.0", False)])  # fmt: skip
def test_an_entry_is_of_its_versions(version, covered):
    assert ENTRY.covers(verdict(), "torch", version) is covered


def test_a_case_outside_of_the_condition_is_not_covered():
    case = catalog.get("adam").case([1.0], [2.0], exp_avg=[3.0])
    assert not ENTRY.covers(verdict(trial=ENTRY.trial().replace(case=case)), "torch", "torch 2.13.0")


# --- what ends the process --------------------------------------------------------------------------------------------


FATAL = known.find("torch-convolution-crash-where-no-column-reads-the-input")


def test_what_would_end_this_process_is_left_out_here():
    torch = pytest.importorskip("torch")
    if not FATAL.concerns("torch", f"torch {torch.__version__}"):
        pytest.skip(f"described for version {FATAL.versions}")
    report = Report(backend="torch", version=f"torch {torch.__version__}")
    trial = FATAL.trial().replace(layout="contiguous")
    check_again(catalog.get("conv2d"), trial, backends.load("torch"), report)
    row = report.rows["conv2d", "float32", "layout"]
    assert report.agrees and row.cases and row.left_out == {f"known deviation {FATAL.name} would end this process": 1}


def test_an_answer_is_no_crash_and_a_crash_no_answer():
    crash = Verdict(Status.CRASHED, "layout", FATAL.trial(), message="the process was killed by SIGSEGV")
    assert FATAL.covers(crash, "torch", "torch 2.13.0")
    for other in (Status.DIFFERS, Status.TIMED_OUT):
        assert not FATAL.covers(dataclasses.replace(crash, status=other), "torch", "torch 2.13.0")
    aborted = dataclasses.replace(crash, message="the process was killed by SIGABRT")
    assert not FATAL.covers(aborted, "torch", "torch 2.13.0")
    assert not ENTRY.covers(verdict(status=Status.CRASHED), "torch", "torch 2.13.0")


def test_a_crash_outside_of_the_condition_is_not_covered():
    trial = FATAL.trial()
    reads = trial.case._replace(params={**trial.case.params, "stride": 1})
    for other in (trial.replace(layout="contiguous"), trial.replace(case=reads), trial.replace(dtype="float64")):
        crash = Verdict(Status.CRASHED, "layout", other, message="the process was killed by SIGSEGV")
        assert not FATAL.covers(crash, "torch", "torch 2.13.0")
