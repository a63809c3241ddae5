"""`opcheck` as a whole process against its imports alone: python -m tests.benchmarks.startup"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import Run, medians

LIMIT = 1.3
PEER = [sys.executable, "-c", "import numpy, rich.console, rich.table, click"]
OPCHECK = [sys.executable, str(Path(__file__).parents[2] / "cli.py")]
COMPILED = tempfile.TemporaryDirectory()
COMMANDS = ("explain conv2d --input 4x4", "explain conv2d --input 4x4 --grad", "ops", "--help")


def main() -> None:
    contenders: dict[str, Run] = {"": lambda: run(PEER)}
    contenders |= {words: lambda words=words: run([*OPCHECK, *words.split()]) for words in COMMANDS}
    times = medians(contenders, rounds=21, at_least=0.0, at_most=60.0, clock=children)
    table = Table("whole process", title="processor time, median of 21")
    for column in ("ms", "ratio", "limit"):
        table.add_column(column, justify="right")
    for words, seconds in times.items():
        name = f"opcheck {words}" if words else f'python -c "{PEER[-1]}"'
        limit = f"{LIMIT}" if words == COMMANDS[0] else ""
        table.add_row(name, f"{1000 * seconds:.0f}", f"{seconds / times['']:.2f}", limit)
    Console().print(table)


def run(command: list[str]) -> None:
    """With compiled files at hand, as an installed package has them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = COMPILED.name
    subprocess.run(command, check=True, capture_output=True, env=environment)


def children() -> float:
    """Processor time of all processes that have ended, user and system."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
