"""The pytest plugin: fixtures for device and dtype, a fixture that verifies, failing cases under pytest's cache.

pytest --opcheck-device cuda --opcheck-dtype float32,bfloat16 --opcheck-seconds 5

def test_conv2d(opcheck_verify):
    opcheck_verify("conv2d", my_kernels.conv2d)
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SUMMARY = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("opcheck", "operator verification")
    group.addoption("--opcheck-device", default="cpu", help="device of the tensors: cpu or cuda")
    group.addoption("--opcheck-dtype", default="float32", help="number formats, separated by commas")
    group.addoption("--opcheck-seconds", type=float, default=None, help="time for each operator (default: 100 cases)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SUMMARY] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "opcheck_dtype" in metafunc.fixturenames:
        metafunc.parametrize("opcheck_dtype", metafunc.config.getoption("--opcheck-dtype").split(","))


@pytest.fixture
def opcheck_device(request: pytest.FixtureRequest) -> str:
    """The device to test on; the test is skipped where there is none."""
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

        config = request.config
        seconds = config.getoption("--opcheck-seconds")
        options = {"seconds": seconds} | ({} if seconds else {"cases": 100}) | options
        report = verify(op, candidate, dtype=opcheck_dtype, device=opcheck_device, **options)
        config.stash[SUMMARY].append(f"{op} {opcheck_dtype} {report.backend}: {report}")
        if not report.agrees:
            place = save(config, report)
            pytest.fail(f"{report}\nopcheck replay {place}", pytrace=False)
        return report

    return check


def save(config: pytest.Config, report: Any) -> Path:
    """The first failing case as a file under pytest's cache directory."""
    from opcheck.verification.casefile import to_json

    verdict = report.counterexample
    cache = config.cache
    assert cache is not None
    folder = cache.mkdir("opcheck")
    path = folder / f"{verdict.trial.case.op}-{verdict.trial.dtype}-{verdict.claim.replace(':', '-')}.json"
    path.write_text(json.dumps(to_json(verdict.trial, claim=verdict.claim)) + "\n", encoding="utf-8")
    return path


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash[SUMMARY]
    if lines:
        terminalreporter.section("opcheck")
        for line in lines:
            terminalreporter.line(line)
