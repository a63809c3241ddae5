"""The names that a program's own variables give to its arrays, so that a worked calculation can use them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from opcheck.programs.arrays import ArrayTape, TracedArray

Look = Callable[[FrameType, str, Any], None]


def with_names(tape: ArrayTape, code: CodeType | None, call: Callable[[], Any]) -> Any:
    """What a call returns; arrays that a local variable of `code` holds at the end have its name on the tape."""

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            for name, value in frame.f_locals.items():
                if isinstance(value, TracedArray):
                    tape.names.setdefault(value.id, name)

    with watched(look):
        return call()


@contextmanager
def watched(look: Look) -> Iterator[None]:
    """`look` sees every call and return of this thread, unless somebody measures with cProfile, which has the place."""
    before = sys.getprofile()
    if before is not None and not callable(before):
        yield
        return
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
