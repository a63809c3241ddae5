"""Peak memory of one call, ours and torch's: python -m tests.benchmarks.memory [OPERATOR ...]

Each call runs in a process of its own, on one thread. Counted is what the process needed at its peak beyond what it
had before the call (arrays, libraries), the results included: VmHWM, which Linux lets a process reset.
"""

import tests.benchmarks.one_thread  # noqa: F401 - before numpy and torch

# isort: split

import multiprocessing
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.workloads import Workload, classes, convolution, normal

MIB = 2**20
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

WORKLOADS: tuple[Callable[[], Workload], ...] = (
    lambda: convolution((8, 16, 56, 56), (32, 16, 3, 3), padding=1),
    lambda: convolution((1, 64, 224, 224), (64, 64, 3, 3), padding=1),
    lambda: convolution((16, 3, 224, 224), (64, 3, 7, 7), padding=3, stride=2),
    lambda: convolution((16, 64, 4096), (64, 64, 9), padding=4),
    lambda: Workload("max_pool2d", {"input": normal(4, 64, 112, 112)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    lambda: Workload("avg_pool2d", {"input": normal(4, 64, 112, 112)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    lambda: Workload("linear", {"input": normal(1024, 2048), "weight": normal(1024, 2048)}, {}),
    lambda: Workload("softmax", {"input": normal(4096, 1000)}, {"dim": -1}),
    lambda: Workload("mse_loss", {"input": normal(4096, 1000), "target": normal(4096, 1000)}, {}),
    lambda: Workload("cross_entropy", {"input": normal(4096, 1000), "target": classes(4096, 1000)}, {}),
)


def peak(place: int, kind: str, contender: str) -> float:
    """MiB that one call takes at its peak; runs in a process of its own."""
    from tests.benchmarks import reference

    warm = Workload("linear", {"input": normal(2, 3), "weight": normal(4, 3)}, {})
    make = {"forward": reference.forward, "vjp": reference.vjp}[kind]
    make(warm)[contender]()  # imports and thread pools are not the call's
    run = make(WORKLOADS[place]())[contender]
    RESET.write_text("5")
    before = _status("VmRSS")
    result = run()
    after = _status("VmHWM")
    del result
    return (after - before) / MIB


def _status(key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def main(names: list[str]) -> None:
    table = Table("", title="peak memory of a call beyond its arguments, float64, 1 thread")
    for column in ("opcheck MiB", "torch MiB", "ratio"):
        table.add_column(column, justify="right")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as processes:
        for place, make in enumerate(WORKLOADS):
            work = make()
            if names and work.op not in names:
                continue
            for label, kind in ((work.label, "forward"), ("  vjp", "vjp")):
                ours, torchs = (processes.submit(peak, place, kind, who).result() for who in ("opcheck", "torch"))
                table.add_row(label, f"{ours:.1f}", f"{torchs:.1f}", f"{ours / max(torchs, 0.1):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
