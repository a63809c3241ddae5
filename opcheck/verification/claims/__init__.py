"""The claims about an implementation, one function each; `opcheck verify --list-claims` prints the list."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from opcheck.language import say
from opcheck.operators.spec import Op, Refused
from opcheck.verification.check import Check, Finding
from opcheck.verification.claims import behaviour, conduct, correctness, repetition, stability


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim: its name, one sentence, how often it is checked (on every how many-th trial), whether there is a point
    in it where something is wrong already, whether others like it (which stand beside it) need it to be right, and of
    which operators it is."""

    name: str
    sentence: str
    check: Callable[[Check], Iterator[Finding]]
    every: int = 1
    needs_right_values: bool = False
    carries: bool = True
    concerns: Callable[[Op], bool] = lambda op: True


EVERY = (
    Claim("answers", "the call returns as many arrays of real numbers as torch does", correctness.answers),
    Claim("shape", "every output has torch's shape", correctness.shape),
    Claim("dtype", "every output has the dtype of the inputs", correctness.dtype),
    Claim("values", "exact: bit-equal on whole numbers; rounding: within the bound; special: NaN, infinities, ...",
          correctness.numbers),
    Claim("vjp", "vjp:<input>: gradients for random cotangents, within their bounds", correctness.vjp),
    Claim("jvp", "output tangents for random input tangents, within their bounds", correctness.jvp),
    Claim("adjoint", "<g, Jv> = <J'g, v>", correctness.adjoint, every=3, needs_right_values=True),
    Claim("second", "the gradient of the gradient, within the bound of any way to compute it", correctness.second,
          every=9, needs_right_values=True),
    Claim("layout", "the same from transposed, strided, offset, channels-last and expanded memory", behaviour.layout,
          every=5, needs_right_values=True, carries=False),
    Claim("frozen", "the same gradients where some inputs need none, and the same outputs where no input does",
          behaviour.frozen, every=5, needs_right_values=True, carries=False),
    Claim("batch", "the first and the last of a batch give the same alone as in the batch", behaviour.batch, every=5,
          needs_right_values=True, carries=False),
    Claim("refuses", "arguments that do not fit together raise", behaviour.refuses, every=11,
          carries=False),
    Claim("pure", "inputs and cotangents unchanged; outputs in their own memory", repetition.pure, every=7),
    Claim("repeat", "the same bits again: at once, after another shape, from two threads", repetition.repeat, every=5),
    Claim("rate", "random draws have the right rate, and are new for each row and each call",
          repetition.rate, every=5, needs_right_values=True, concerns=lambda op: bool(op.draws)),
    Claim("state", "still right after a call with other parameters, and in a second backward pass", repetition.state,
          every=5, needs_right_values=True),
    Claim("stable", "a form that loses the digits of small results is counted, and fails with --stable",
          stability.stable, every=13, needs_right_values=True, concerns=stability.concerns),
    Claim("own", "the call itself does the work: no reference, constant or unwritten memory; nothing patched, "
                 "nothing left running",
          conduct.own, every=13),
)  # fmt: skip


def chosen(wanted: Iterable[str] | None) -> tuple[Claim, ...]:
    """The claims of these names (all for None); `answers` and `shape` always, as the others depend on them."""
    if wanted is None:
        return EVERY
    names = {each.partition(":")[0] for each in wanted} | {"answers", "shape"}
    names |= {"values"} if names & {"exact", "rounding", "special"} else set()
    known = {claim.name for claim in EVERY} | {"exact", "rounding", "special"}
    for name in sorted(names - known):
        raise Refused(
            say("there is no claim {name}", name=repr(name)),
            fix=say("they are {names}", names=", ".join(sorted(known))),
        )
    return tuple(claim for claim in EVERY if claim.name in names)
