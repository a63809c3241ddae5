"""What verification finds and what it lets pass, on functions that are right and wrong on purpose."""

from pathlib import Path

import numpy as np
import pytest

import opcheck
from opcheck import verify
from opcheck.operators import catalog
from opcheck.operators.program import derived_bounds
from opcheck.operators.spec import Refused
from opcheck.verification.directed import Unseen, plans
from opcheck.verification.mutation.mutants import Reference, numpy_mutants
from opcheck.verification.mutation.score import kills
from opcheck.verification.report import Report, sentence
from opcheck.verification.run import Shard, run_shard, trials
from opcheck.verification.verdict import Status, Verdict

OPERATORS = [op.name for op in catalog.every()]
CASES = 40


def reference(name):
    """The operator's own reference as a candidate."""
    return Reference(catalog.get(name))


@pytest.mark.share(5)
@pytest.mark.parametrize("name", OPERATORS)
def test_the_reference_agrees_with_the_definition_through_the_whole_machine(name):
    report = verify(name, reference(name), arrays="numpy", cases=CASES, seed=None)
    assert report.agrees, f"seed {report.seed}: {sentence(report.failures[0])}"
    # what a library may crash of runs in worker processes only
    assert report.checked and report.left_out.total() == plans(catalog.get(name)).count(Unseen())


@pytest.mark.parametrize("name", OPERATORS)
def test_every_mutant_is_refused(name):
    op = catalog.get(name)
    lived = [each.name for each in kills(op, numpy_mutants(op)) if not each.cases]
    assert lived == []


def test_the_readme_tells_how_many_mutants_there_are():
    many = sum(1 for op in catalog.every() for _ in numpy_mutants(op))
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"{many} of {many} wrong implementations are refused" in readme


@pytest.mark.parametrize("name", OPERATORS)
def test_mutants_are_refused_with_derived_bounds_too(name):
    """A slice: `python -m opcheck.verification.mutation --derived` is the whole of it."""
    op = catalog.get(name)
    with derived_bounds([op]):
        lived = [each.name for each in kills(op, list(numpy_mutants(op))[::8]) if not each.cases]
    assert lived == []


def test_a_missing_bias_is_named():
    report = verify("linear", lambda x, weight, bias=None: x @ weight.T, arrays="numpy", cases=CASES)
    found = report.counterexample
    assert found is not None and found.status is Status.DIFFERS and not report.agrees
    assert found.resembles == ("bias_missing",)
    assert found.trial is not None and found.trial.case.arrays["weight"].size <= 3  # minimal


def test_the_exact_value_is_quoted():
    def off_by_one(x):
        y = np.maximum(x, 0)
        return y + 1 if x.ndim == 2 else y

    found = verify("relu", off_by_one, arrays="numpy", cases=CASES).counterexample
    assert found is not None and found.got == found.expected + 1
    assert sentence(found) == "output[0, 0] is 2.0 but should be 1.0"  # the smallest matrix


def test_a_parameter_that_is_not_taken_is_left_out_and_counted():
    def conv2d(x, weight):
        return reference("conv2d")(x, weight)

    report = verify("conv2d", conv2d, arrays="numpy", cases=CASES)
    assert report.agrees
    assert {name for _, name in report.left_out} >= {"bias", "stride", "padding"}


def test_what_raises_is_malformed_and_the_message_is_kept():
    def broken(x):
        raise ZeroDivisionError("by hand")

    found = verify("relu", broken, arrays="numpy", cases=3).counterexample
    assert found is not None and found.status is Status.MALFORMED
    assert found.message == "raised ZeroDivisionError: by hand"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: None, "output is not an array of real numbers but object"),
        (lambda x: (x, x), "relu returns output here; got 2 results"),
        (lambda x: {"output": [[1.0], [1.0, 2.0]]}, "output is not a rectangular array"),
    ],
)
def test_what_is_no_array_is_malformed(answer, message):
    found = verify("relu", answer, arrays="numpy", cases=3).counterexample
    assert found is not None and found.status is Status.MALFORMED and found.message == message


def test_a_trial_is_a_function_of_its_address():
    op = catalog.get("conv2d")
    whole = list(trials(op, Shard("conv2d", "float32", 7, 0, 20)))
    part = list(trials(op, Shard("conv2d", "float32", 7, 10, 20)))
    for (i, a), (j, b) in zip(whole[10:], part, strict=True):
        assert i == j and a.case.params == b.case.params
        assert all(np.array_equal(a.case.arrays[n], b.case.arrays[n], equal_nan=True) for n in a.case.arrays)


def test_shards_merge_to_the_whole():
    from opcheck.backends.function import NumpyFunction

    op, backend = catalog.get("relu"), NumpyFunction(np.abs)
    whole = run_shard(op, Shard("relu", "float32", 1, 0, 20), backend)
    first = run_shard(op, Shard("relu", "float32", 1, 0, 9), backend)
    first.merge(run_shard(op, Shard("relu", "float32", 1, 9, 20), backend))
    assert first.trials >= whole.trials
    assert {key: row.cases > 0 for key, row in first.rows.items()} == {k: r.cases > 0 for k, r in whole.rows.items()}
    assert not first.agrees and not whole.agrees


def test_exhaustive_enumerates_the_sampler():
    report = verify("linear", reference("linear"), arrays="numpy", cases=60, exhaustive=True)
    assert report.agrees and report.trials == 60


def test_a_report_is_json_with_exact_numbers():
    import json

    report = verify("relu", np.abs, arrays="numpy", cases=CASES)
    data = json.loads(json.dumps(report.to_json()))
    assert data["schema"] == "opcheck.report/1" and data["agrees"] is False
    failure = data["failures"][0]
    assert float.fromhex(failure["got"]) == report.failures[0].got
    assert failure["case"]["schema"] == "opcheck.case/1"


def test_the_package_is_the_function():
    assert opcheck.verify("relu", lambda x: np.where(x < 0, np.zeros_like(x), x), arrays="numpy", cases=5).agrees


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype must be one of float64, float32, float16, bfloat16"),
        ({"cases": 0}, "cases must be at least 1"),
        ({"seconds": -1.0}, "seconds must be more than 0"),
        ({"arrays": "cupy"}, 'arrays must be "numpy" or "torch"'),
        ({"candidate": 3}, "an implementation must be a function"),
        ({"candidate": "numpy"}, "--impl is a backend, FILE.py:NAME or module:NAME"),
        ({"candidate": "no_such_module:f"}, "cannot import no_such_module"),
        ({"candidate": "numpy:no_such_function"}, "numpy has no no_such_function"),
        ({"claims": ["speed"]}, "there is no claim 'speed'"),
        ({"candidate": "no_such_module:f", "claims": ["speed"]}, "there is no claim 'speed'"),  # before it is loaded
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(Refused, match=message):
        verify("relu", **{"candidate": np.abs, "cases": 3, **options})


def test_the_counterexample_is_the_failure_that_tells_most():
    refused, missing, wrong = (
        Verdict(Status.DIFFERS, "refuses"),
        Verdict(Status.MALFORMED, "answers"),
        Verdict(Status.DIFFERS, "rounding", expected=1.0, got=2.0),
    )
    assert Report(failures=[refused, missing, wrong]).counterexample is wrong
    assert Report(failures=[refused, missing]).counterexample is missing
    assert Report().counterexample is None


def test_calls_that_raise_do_not_hide_wrong_numbers():
    """It raises without a dim, which is torch's default, and normalises what has more than four numbers wrongly."""

    def softmax(input, dim=None):
        if dim is None:
            raise TypeError("no dim")
        e = np.exp(input - input.max(dim, keepdims=True))
        return e / e.take(range(min(4, e.shape[dim])), dim).sum(dim, keepdims=True)

    report = verify("softmax", softmax, arrays="numpy", cases=300, seed=1)
    assert report.row("softmax", "float32", "answers").failed > 8
    assert report.counterexample.claim in ("exact", "rounding") and report.counterexample.got is not None


def test_what_never_answers_ends_the_run_early():
    def relu(x):
        raise TypeError("never")

    assert verify("relu", relu, arrays="numpy", cases=300, seed=1).trials < 20
