"""A process that runs command lines one after the other, in a folder of its own, and says how each ended.

It is no test: `Runner` is what the tests hold of it, and `serve` is what runs in the process.
"""

import base64
import contextlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import NamedTuple

SECONDS = 20.0  # that a command may take
PATIENCE = 3.0  # with a server, which ends when it is told
MEMORY = 2 * 2**30  # bytes that the process may hold
ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """How a command line ended: its exit code, what it printed, the time it took and the most memory until then."""

    code: int | str
    out: str
    err: str
    seconds: float
    memory: int


class Runner:
    """The process, started again where a command line was the end of it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="opcheck-fuzz-"))
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], files: dict[str, bytes], answers: str = "") -> Ended:
        """`opcheck ARGUMENTS` in a folder that holds these files and nothing else."""
        given = {name: base64.b64encode(data).decode() for name, data in files.items()}
        process = self.process = self.process or self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([arguments, given, answers]).encode() + b"\n")
        process.stdin.flush()
        line = self._line(process)
        if not line:
            self.stop()
            return Ended("killed" if process.returncode == -9 else f"died: {process.returncode}", "", "", SECONDS, 0)
        return Ended(*json.loads(line))

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {
            "PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "temporary"),
            "OMP_NUM_THREADS": "1", "COLUMNS": "80",
        }  # fmt: skip
        for name in ("home", "temporary", "work"):
            (self.folder / name).mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.runner"], cwd=self.folder / "work", env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    @staticmethod
    def _line(process: "subprocess.Popen[bytes]") -> bytes:
        """What it answers; nothing if it is gone, or silent for longer than any command may take."""
        assert process.stdout is not None
        with DefaultSelector() as selector:
            selector.register(process.stdout, EVENT_READ)
            return process.stdout.readline() if selector.select(2 * SECONDS) else b""

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def serve() -> None:
    """Reads command lines from stdin and answers on stdout; what the commands print goes elsewhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    resource.setrlimit(resource.RLIMIT_DATA, (2 * MEMORY, 2 * MEMORY))  # an example must not harm the machine
    for request in requests:
        arguments, files, typed = json.loads(request)
        for each in Path().iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        for name, data in files.items():
            Path(name).write_bytes(base64.b64decode(data))
        answers.write(json.dumps(one(arguments, typed)).encode() + b"\n")
        answers.flush()


def one(arguments: list[str], typed: str) -> Ended:
    """One command line, as `opcheck ARGUMENTS` would run it."""
    from opcheck.app import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    sys.argv, sys.stdin, sys.stdout, sys.stderr = ["opcheck", *arguments], io.StringIO(typed), out, err
    start = time.monotonic()
    code: int | str
    watch = threading.Timer(PATIENCE, os.kill, (os.getpid(), signal.SIGINT))  # Ctrl-C, which ends what serves pages
    if arguments[:1] == ["serve"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        watch.start()
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else str(ended.code)
    except BaseException as error:
        code = f"raised {type(error).__name__}: {error!r}"
    finally:
        watch.cancel()
    for stream in (out, err):
        stream.flush()
    texts = [stream.buffer.getvalue().decode("utf-8", "replace")[-3000:] for stream in (out, err)]
    return Ended(code, *texts, time.monotonic() - start, most_memory())


def most_memory() -> int:
    """The most bytes that this process has had in memory: getrusage would count those of the process that began it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    serve()
