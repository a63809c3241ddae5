"""What a call raised: whose error it is, and what a report says of it."""

import errno
import os
import signal
from pathlib import Path

from opcheck import backends
from opcheck.backends.base import Malformed
from opcheck.errors import told
from opcheck.language import say
from opcheck.verification.casefile import Trial
from opcheck.verification.verdict import Status, Verdict

BACKENDS = str(Path(backends.__file__).parent) + os.sep


def malformed(claim: str, trial: Trial, error: BaseException) -> Verdict:
    """What to say of a call that raised, or returned something else than arrays. What would have ended the process
    (sys.exit) is a crash."""
    if isinstance(error, Malformed):
        return Verdict(Status.MALFORMED, claim, trial, message=str(error))
    text = first_words(told(error))
    message = say("raised {type}: {error}", type=type(error).__name__, error=text).removesuffix(": ")
    if exhausted(error):
        return Verdict(Status.MEMORY, claim, trial, message=message)
    status = Status.MALFORMED if isinstance(error, Exception) else Status.CRASHED
    return Verdict(status, claim, trial, message=message)


def exhausted(error: BaseException) -> bool:
    """Whether there was not enough memory; torch raises its own RuntimeError on the CPU and on CUDA."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and is_exhaustion(told(error))


def is_exhaustion(words: str) -> bool:
    """Whether a library says so: torch, and what C++ says of an exception that nobody caught."""
    return any(each in words for each in ("can't allocate memory", "out of memory", "bad_alloc"))


def first_words(text: str) -> str:
    """The first line of a message, and the next ones while a line ends with a colon.

    >>> first_words("backend='inductor' raised:\\nZeroDivisionError: division by zero\\n\\nSet TORCH_LOGS")
    "backend='inductor' raised: ZeroDivisionError: division by zero"
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    end = next((k for k, line in enumerate(lines) if not line.endswith(":")), len(lines))
    return " ".join(lines[: end + 1])[:300]


def asked_to_stop(error: BaseException) -> bool:
    """Whether it was a person who pressed Ctrl-C: a worker process ignores that, so there it is the implementation."""
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def is_ours(error: BaseException) -> bool:
    """Whether an exception was raised by opcheck itself and not by the implementation that it called.

    The traceback tells: a call of an implementation leaves a session's `_call`, `call` or `results` on the stack.
    """
    if isinstance(error, Malformed):
        return False
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(BACKENDS):
            return False
        trace = trace.tb_next
    return True
