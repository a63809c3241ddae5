"""The names that a program's own variables give to its arrays, so that a worked calculation can use them."""

import itertools
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from opcheck.programs.arrays import ArrayTape, TracedArray

Look = Callable[[FrameType, str, Any], None]


def with_names(tape: ArrayTape, code: CodeType | None, call: Callable[[], Any]) -> Any:
    """What a call returns; arrays that a local variable of `code` holds at the end have its name on the tape, and so
    have those of its helpers (functions of the same module): of the second call of one, `mean2` for `mean`."""
    found: list[tuple[int, str]] = []  # a helper returns before the program, whose own names go first
    home: dict[str, Any] | None = None

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal home
        if event == "call" and frame.f_code is code:
            home = frame.f_globals
        elif event == "return" and frame.f_globals is home:
            held = [(x.id, name) for name, x in frame.f_locals.items() if isinstance(x, TracedArray)]
            if frame.f_code is code:
                for id, name in held:
                    tape.names.setdefault(id, name)
                home = None
            else:
                found.extend(held)

    with watched(look):
        result = call()
    taken = set(tape.names.values())
    for id, name in found:
        if id not in tape.names:
            tape.names[id] = name = free(name, taken)
            taken.add(name)
    return result


def free(name: str, taken: Container[str]) -> str:
    """The name, or with the first number that makes it another one than those that are taken."""
    joined = name + "_" if name[-1].isdigit() else name
    numbered = (f"{joined}{k}" for k in itertools.count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


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
