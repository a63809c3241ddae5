"""SIGTERM and a closed terminal end a command as Ctrl-C does: what was found is printed, and nothing is left behind."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interruption:
    """The signal that ended the command; Ctrl-C unless another one came."""

    def __init__(self) -> None:
        self.signal: int = signal.SIGINT

    @property
    def code(self) -> int:
        """The exit code that a shell has for it."""
        return 128 + self.signal

    def __call__(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:  # `timeout` sends it twice, to the process and to its group; once is enough
            signal.signal(each, signal.SIG_IGN)
        self.signal = number
        raise KeyboardInterrupt


interruption = Interruption()


@contextmanager
def heard() -> Iterator[None]:
    """While the block runs, these signals act like Ctrl-C; signals that were ignored when we started stay ignored."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(each, interruption)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
