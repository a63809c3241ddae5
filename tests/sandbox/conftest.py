"""Each kind of isolation that this machine has, and a short way to run a submission under it."""

import textwrap
from collections.abc import Callable, Iterator

import pytest

from opcheck.sandbox import Isolation, Limits, Source, Worker, capabilities

MEBIBYTE = 1 << 20


@pytest.fixture(params=[Isolation.BUBBLEWRAP, Isolation.LANDLOCK])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    (capability,) = [each for each in capabilities() if each.isolation is request.param]
    if not capability.works:
        pytest.skip(f"{capability.isolation} cannot be tested on this machine: {capability.reason}")
    return capability.isolation


@pytest.fixture
def submit(isolation: Isolation) -> Iterator[Callable[..., Worker]]:
    """submit(source, seconds=..., ...): a worker for this text under `isolation`."""
    workers = []

    def start(source: str, hidden: tuple[str, ...] = (), definitions_only: bool = False, **limits: float) -> Worker:
        worker = Worker(Source(textwrap.dedent(source)), isolation, Limits(**limits), hidden, definitions_only)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def trusted() -> Iterator[Callable[..., Worker]]:
    """trusted(source, seconds=..., ...): a worker for this text without isolation."""
    workers = []

    def start(source: str, **limits: float) -> Worker:
        worker = Worker(Source(textwrap.dedent(source)), Isolation.TRUSTED, Limits(**{"memory": None, **limits}))
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.close()
