"""A nightly run in which every work is a program of one line, to see how runs are started, kept and stopped."""

import sys

from tests.nightly import works
from tests.nightly.__main__ import main
from tests.nightly.schedule import Work

REPORT = '{"schema": "opcheck.report/1", "trials": 7, "failures": []}'
PROGRAMS = {
    "quick": (Work("grade", "quick", 1000, 5), "pass"),
    "slow": (Work("mutation", "slow", 4, 1, most=1), "import time; time.sleep(0.3)"),
    "missing": (Work("fuzz", "missing", 100, 5), "print('no such folder'); raise SystemExit(4)"),
    "wrong": (Work("verify torch", "wrong", 50, 5), f"print('{REPORT}'); raise SystemExit(1)"),
    "endless": (Work("properties", "endless", 50, 5),
                "import pathlib, tempfile, time; tempfile.mkdtemp(); pathlib.Path('FOLDER', 'began').touch(); "
                "time.sleep(3600)"),
}  # fmt: skip

works.every = lambda: [work for work, _ in PROGRAMS.values()]
works.command = lambda work, cases, seed, folder: [
    sys.executable, "-S", "-c", PROGRAMS[work.of][1].replace("FOLDER", str(folder)),
]  # fmt: skip

if __name__ == "__main__":
    main()
