"""The floating-point environment: how a candidate treats subnormal numbers must not affect the judge.

A library that was compiled with -ffast-math makes the whole process treat subnormal numbers as zero once it is loaded,
and torch.set_flush_denormal(True) does so in a call. The candidate keeps running that way; opcheck computes without it.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

DEFAULT = -1  # in place of an environment: as a process starts
ROOM = 512  # bytes, more than any environment takes
_SMALLEST, _HALF = 2.0**-1022, 0.5

_of_the_candidate: bytes | None = None  # where it flushes


def flushes() -> bool:
    """Whether this thread treats subnormal numbers as zero."""
    return _SMALLEST * _HALF == 0


def candidate_flushes() -> bool:
    """Whether the candidate was found to do so, on loading or in a call."""
    return _of_the_candidate is not None


@contextmanager
def judging() -> Iterator[None]:
    """The usual environment inside the block; the candidate's is restored after it."""
    global _of_the_candidate
    before = _of_the_candidate = _leave()
    try:
        yield
    finally:
        if before is not None:
            _enter(before)


def settle() -> None:
    """After a candidate was loaded: back to the usual environment, if that changed it."""
    global _of_the_candidate
    _of_the_candidate = _leave() or _of_the_candidate


@contextmanager
def calling() -> Iterator[None]:
    """The candidate's environment inside the block, as at the end of its last call; the usual one after it."""
    global _of_the_candidate
    if _of_the_candidate is not None:
        _enter(_of_the_candidate)
    try:
        yield
    finally:
        _of_the_candidate = _leave()


def _leave() -> bytes | None:
    """Back to the usual environment: the one that was there, where it flushes."""
    if not flushes() or _library() is None:
        return None
    room = ctypes.create_string_buffer(ROOM)
    _library().fegetenv(room)
    _library().fesetenv(ctypes.c_void_p(DEFAULT))
    return room.raw


def _enter(environment: bytes) -> None:
    _library().fesetenv(ctypes.create_string_buffer(environment, ROOM))


@cache
def _library() -> Any:
    """The C library, where it is known to restore this part of the environment."""
    return ctypes.CDLL("libm.so.6") if sys.platform == "linux" else None
