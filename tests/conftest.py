"""What all tests share: hypothesis profiles, one thread a process, and the `torch` marker."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy or torch is imported: parallel tests share the cores

import gc
import importlib.util
import random
import signal
import sys
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

# What runs in the background of a shell ignores Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No profile asserts a time, so none has a deadline. `ci` draws the same cases for the same tests, so that what fails
# there is the change and not the day; `dev` and `nightly` draw fresh ones; a failure prints the blob that repeats it.
COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", COMMON, max_examples=12)
settings.register_profile("ci", COMMON, max_examples=12, derandomize=True, database=None)
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


def leave_a_share(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test that is marked `share(n)`, so many of its parameters: every test of the night is there by day, on some.
    Which ones follows from their names, so that the shares of several tests differ. A test asked for by its whole name
    runs."""
    shares: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("share") and not any(item.nodeid in asked for asked in config.args):
            shares.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left = set()
    for found in [] if PROFILE == "nightly" else shares.values():
        found.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))
        left |= set(found[found[0].get_closest_marker("share").args[0] :])
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]


SLOW_ROOMS = ("operators", "sandbox", "app", "render", "backends", "fuzz", "grading", "nightly", "verification")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The fastest rooms first, so that what fails is known soon; among the others the slow tests, as none should run
    alone at the end."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        room = item.nodeid.split("/")[1] if item.nodeid.count("/") > 1 else ""
        return SLOW_ROOMS.index(room) + 1 if room in SLOW_ROOMS else 0, item.get_closest_marker("slow") is None

    leave_a_share(config, items)
    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the search for garbage need not go through it each time."""
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A failure is named as it happens, and not after all tests."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nFAILED {report.nodeid}", file=sys.__stderr__, flush=True)


def pytest_report_header() -> str:
    return f"opcheck: hypothesis profile {PROFILE} (OPCHECK_PROFILE=dev, ci or nightly)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch") and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch: pip install -c constraints.txt '.[torch]'")
