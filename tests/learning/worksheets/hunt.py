"""Ten thousand exercises of all operators and networks, every blank of them computed a second time.

python -m tests.learning.worksheets.hunt [--count 10000] [--seed 0]
"""

import argparse
import sys

from opcheck.learning.worksheets import drawn
from opcheck.learning.worksheets.networks import NETWORKS, find
from opcheck.operators import catalog
from tests.learning.worksheets.support import checked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = (*NETWORKS, *(op.name for op in catalog.every()))
    exercises = compared = 0
    wrong = []
    for name in names:
        for exercise in drawn(find(name) or catalog.get(name), -(-options.count // len(names)), options.seed).exercises:
            exercises += 1
            try:
                compared += checked(exercise)
            except AssertionError as error:
                wrong.append(f"{name}, level {exercise.level}: {error}")
        print(f"{name}: {exercises} exercises so far, {len(wrong)} wrong", file=sys.stderr, flush=True)
    print(f"{exercises} exercises, {compared} numbers compared, {len(wrong)} wrong", *wrong[:20], sep="\n")


if __name__ == "__main__":
    main()
