"""`opcheck` as a whole process against imports alone: python -m tests.benchmarks.startup [--rounds 41]

By the clock, from the start of the process to its end. Each command takes turns with the imports that it is compared
with; the ratio is the median over the rounds. Twice: with compiled files at hand, as an installed package has them, and
with none of opcheck's own, as in a checkout where Python may write none (PYTHONDONTWRITEBYTECODE).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import Run, ratio, taken

LIMIT = 1.25
PEER = "import numpy, rich.console, rich.table, click"
CLICK = "import click"  # what --help cannot do without
OPCHECK = [sys.executable, str(Path(__file__).parents[2] / "cli.py")]
COMMANDS = {
    "explain conv2d --input 4x4": PEER,
    "explain conv2d --input 4x4 --grad": PEER,
    "ops": PEER,
    "--help": CLICK,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as compiled:
        Console().print(compared("with compiled files", {"PYTHONPYCACHEPREFIX": compiled}, rounds))
    Console().print(compared("opcheck not compiled", {"PYTHONDONTWRITEBYTECODE": "1"}, rounds))


def compared(title: str, variables: dict[str, str], rounds: int) -> Table:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, **variables}
    contenders: dict[str, Run] = {
        code: partial(run, [sys.executable, "-c", code], environment) for code in (PEER, CLICK)
    }
    contenders |= {words: partial(run, [*OPCHECK, *words.split()], environment) for words in COMMANDS}
    times = taken(contenders, rounds, at_least=0.0, at_most=600.0)
    table = Table(title, title=f"whole process, by the clock, {rounds} rounds")
    for column in ("least ms", "ratio", "to"):
        table.add_column(column, justify="right")
    for words, peer in COMMANDS.items():
        found = ratio(times[words], times[peer])
        limit = f" (limit {LIMIT})" if words == next(iter(COMMANDS)) else ""
        table.add_row(f"opcheck {words}", f"{1000 * min(times[words]):.0f}", f"{found:.2f}{limit}", peer)
    for code in (PEER, CLICK):
        table.add_row(f'python -c "{code}"', f"{1000 * min(times[code]):.0f}")
    return table


def run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, capture_output=True, env=environment)


if __name__ == "__main__":
    main()
