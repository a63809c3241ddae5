"""Arrays beside guard pages: a call that reads or writes beyond its input crashes the process. Each array starts where
the libraries' allocators would place it, at a multiple of 64 bytes. So an array whose size is such a multiple ends
exactly at the guard page; for others the gap is less than a vector, and may be read.
"""

import ctypes
import mmap
import sys

import numpy as np

from opcheck.operators.spec import Array

ALIGNMENT = 64  # bytes
PROT_NONE = 0
LAYOUTS = ("guarded behind", "guarded before")
POSSIBLE = sys.platform != "win32"


def guarded(array: Array, layout: str) -> Array:
    """The same numbers with a guard page directly after the array, or directly before it."""
    if not array.nbytes or not POSSIBLE:
        return array
    page = mmap.PAGESIZE
    taken = -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    inside = -(-taken // page) * page
    room = mmap.mmap(-1, inside + 2 * page)
    start = page + (inside - taken if layout == "guarded behind" else 0)
    found = np.frombuffer(room, array.dtype, array.size, start).reshape(array.shape)
    found[...] = array
    _close(room, 0, page)
    _close(room, page + inside, page)
    return found


def _close(room: mmap.mmap, start: int, size: int) -> None:
    first = ctypes.c_char.from_buffer(room, start)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")
