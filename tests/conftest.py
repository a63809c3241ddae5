"""What all tests share: hypothesis profiles, one thread a process, and the `torch` marker."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy or torch is imported: parallel tests share the cores

import importlib.util
import random
import signal
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

# What runs in the background of a shell ignores Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No profile asserts a time, so none has a deadline. `ci` draws the same cases for the same tests, so that what fails
# there is the change and not the day; `dev` and `nightly` draw fresh ones; a failure prints the blob that repeats it.
COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", COMMON, max_examples=25)
settings.register_profile("ci", COMMON, max_examples=50, derandomize=True, database=None)
settings.register_profile("nightly", COMMON, max_examples=int(os.environ.get("OPCHECK_EXAMPLES") or 2000))

PROFILE = os.environ.get("OPCHECK_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
settings.load_profile(PROFILE)


@pytest.fixture(autouse=True)
def same_seeds_in_ci(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeds that `verify` draws where none is given follow from the test's name there, as hypothesis' cases do."""
    if PROFILE == "ci":
        draws = SimpleNamespace(randbelow=random.Random(request.node.nodeid).randrange)
        monkeypatch.setattr("opcheck.verification.api.secrets", draws)


@pytest.fixture
def nightly() -> bool:
    """Whether to draw all that there is; tests that ask for less in CI are marked so, and the nightly run has them."""
    return PROFILE == "nightly"


def pytest_report_header() -> str:
    return f"opcheck: hypothesis profile {PROFILE} (OPCHECK_PROFILE=dev, ci or nightly)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch") and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch: pip install -c constraints.txt '.[torch]'")
