"""What backward passes accumulate at an input: nothing yet, a gradient, or a sum over several passes."""

import sys
from dataclasses import dataclass
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient of one input. Before the first backward pass there is none, which differs from a gradient of 0."""

    tracked: bool = True
    passes: tuple[Any, ...] = ()

    def after(self, number: Any) -> "Gradient":
        """This gradient after one more backward pass."""
        return Gradient(self.tracked, (*self.passes, number))

    @property
    def value(self) -> Any:
        """The sum over all backward passes; raises Refused before the first one."""
        if not self.passes:
            raise Refused(say("this gradient is {state}", state=str(self)), fix=say("call .reverse() first"))
        return sum(self.passes[1:], start=self.passes[0])

    @property
    def state(self) -> str:
        """Not tracked, not computed, or computed."""
        if not self.tracked:
            return say("not tracked")
        return say("computed") if self.passes else say("not computed")

    def __str__(self) -> str:
        if len(self.passes) < 2:
            return _written(self.passes[0]) if self.passes else self.state
        return say(
            "{terms} = {total}, accumulated over {n} backward passes",
            terms=" + ".join(map(_written, self.passes)),
            total=_written(self.value),
            n=len(self.passes),
        )


def _written(number: Any) -> str:
    try:
        return str(number)
    except ValueError:  # Python writes no more than some thousand digits
        return say("a number of more than {n} digits", n=sys.get_int_max_str_digits())
