"""Worker processes that share the grading of a class or the checking of an assignment."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait

from opcheck import language


@contextmanager
def pool(jobs: int, speaking: str) -> Iterator[ProcessPoolExecutor]:
    """Processes of our own, which are ended at once if the block is left by Ctrl-C."""
    before = {*active_children()}
    # spawn: a fork would take along the locks of other threads, such as the one that draws the progress bar
    executor = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(speaking,))
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in {*active_children()} - before:
            child.kill()
        raise
    finally:
        executor.shutdown()


def _begin(speaking: str) -> None:
    """In each process: the language of the assignment; Ctrl-C is the parent's to answer; no life without a parent."""
    language.use(speaking)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
