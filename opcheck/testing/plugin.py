"""The pytest plugin: fixtures for device and dtype, a fixture that verifies, failing cases under pytest's cache.

pytest --opcheck-device cuda --opcheck-dtype float32,bfloat16 --opcheck-seconds 5

def test_conv2d(opcheck_verify):
    opcheck_verify("conv2d", my_kernels.conv2d)
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROPERTY = "opcheck"  # of a test, and so of its JUnit report: what was verified
DTYPES = ("float64", "float32", "float16", "bfloat16")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("opcheck", "operator verification")
    group.addoption("--opcheck-device", default="cpu", metavar="cpu|cuda", help="device of the tensors")
    group.addoption("--opcheck-dtype", default="float32", metavar="TYPE,...",
                    help="one test for each: float64, float32, float16, bfloat16")  # fmt: skip
    group.addoption("--opcheck-seconds", type=float, default=None, metavar="S",
                    help="time for each operator (default: 100 cases)")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    wrong = [each for each in config.getoption("--opcheck-dtype").split(",") if each not in DTYPES]
    if wrong:
        raise pytest.UsageError(f"--opcheck-dtype: {wrong[0]!r} is none of {', '.join(DTYPES)}")
    seconds = config.getoption("--opcheck-seconds")
    if seconds is not None and not seconds > 0:
        raise pytest.UsageError(f"--opcheck-seconds must be more than 0. Got {seconds}")
    device = str(config.getoption("--opcheck-device"))
    if device != "cpu":  # else nothing of opcheck has to be imported for tests that do not use it
        from opcheck.testing import conformance

        conformance.default_device = device


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "opcheck_dtype" in metafunc.fixturenames:
        metafunc.parametrize("opcheck_dtype", metafunc.config.getoption("--opcheck-dtype").split(","))


@pytest.fixture
def opcheck_device(request: pytest.FixtureRequest) -> str:
    """The device to test on; the test is skipped if there is none."""
    device = str(request.config.getoption("--opcheck-device"))
    if device.startswith("cuda"):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("torch finds no CUDA device here")
    return device


@pytest.fixture
def opcheck_verify(request: pytest.FixtureRequest, opcheck_device: str, opcheck_dtype: str) -> Callable[..., Any]:
    """A function of (operator, implementation, **options of opcheck.verify) that fails with the counterexample."""

    def check(op: str, candidate: Any, **options: Any) -> Any:
        from opcheck.verification.api import verify
        from opcheck.verification.report import says_what_is_allowed

        seconds = request.config.getoption("--opcheck-seconds")
        budget = {"seconds": seconds} if seconds else {"cases": 100}
        report = verify(op, candidate, **{"dtype": opcheck_dtype, "device": opcheck_device, **budget, **options})
        print(says_what_is_allowed(report.allowed))
        # a property of the test travels with its report, also from the processes of pytest-xdist
        more = f"; {says_what_is_allowed(report.allowed)}" if report.allowed else ""
        request.node.user_properties.append((PROPERTY, f"{op} {opcheck_dtype} {report.backend}: {report}{more}"))
        if not report.agrees:
            again = replay_line(save(request.config, report), candidate)
            pytest.fail("\n".join([str(report), *looks_like(report), again]).rstrip(), pytrace=False)
        if not report.checked:
            reasons = {*report.not_run.values(), *(why for _, why in report.left_out)}
            pytest.skip(f"opcheck: nothing was checked: {'; '.join(sorted(reasons))}")
        return report

    return check


def looks_like(report: Any) -> list[str]:
    from opcheck.language import say

    names = report.counterexample.resembles
    return [say("looks like: {names}", names=", ".join(names))] if names else []


def save(config: pytest.Config, report: Any) -> Path | None:
    """The first failing case as a file under pytest's cache directory, if pytest has one."""
    from opcheck import files
    from opcheck.verification.casefile import number_to_json, to_json

    cache, verdict = getattr(config, "cache", None), report.counterexample
    if cache is None:
        return None
    folder: Path = cache.mkdir("opcheck")
    path = folder / f"{verdict.trial.case.op}-{verdict.trial.dtype}-{verdict.claim.replace(':', '-')}.json"
    found = {"claim": verdict.claim, "status": verdict.status.value, "name": verdict.name, "at": list(verdict.at)}
    numbers = {name: None if x is None else number_to_json(x)
               for name, x in (("expected", verdict.expected), ("got", verdict.got))}  # fmt: skip
    files.write(path, json.dumps(to_json(verdict.trial, **found, **numbers)) + "\n")
    return path


def replay_line(path: Path | None, candidate: Any) -> str:
    """The command that runs the case again, with the candidate if it has a name in a file."""
    if path is None:
        return ""
    if isinstance(candidate, str):
        return f"opcheck replay {path} --impl {candidate}"
    name = getattr(candidate, "__qualname__", "")
    try:
        home = inspect.getsourcefile(candidate)
    except TypeError:
        home = None
    named = home is not None and name and "<" not in name
    return f"opcheck replay {path} --impl {home}:{name}" if named else f"opcheck replay {path}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if lines:
        terminalreporter.section("opcheck")
        for line in lines:
            terminalreporter.line(line)
