"""Accepted lower precisions: those that an engineer allows, besides what torch's switches allow on CUDA.

A result that a lower precision explains is a failure like any other unless that precision is allowed. On a CPU none is,
except for sums in the type of the numbers themselves (`float16-accumulation` for float16): that type was asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from opcheck.errors import Refused
from opcheck.language import say

TENSOR_CORES = "tensor-core-sums"
TRANSFORMS = "transforms"
FLUSH = "flush-to-zero"
# what --allow takes, with what it stands for
MEANINGS = {
    "tf32": "factors of 11 binary digits",
    "bfloat16-inputs": "factors rounded to bfloat16",
    "float16-inputs": "factors rounded to float16",
    "float32-inputs": "factors rounded to float32, of float64",
    TENSOR_CORES: "sums that tensor cores truncate",
    "float32-accumulation": "sums kept in float32, of float64",
    "float16-accumulation": "sums, or partial sums, kept in float16",
    "bfloat16-accumulation": "sums, or partial sums, kept in bfloat16",
    TRANSFORMS: "convolutions by Winograd's algorithm or FFT",
    FLUSH: "subnormal numbers treated as zero",
}
NONE = "none"


@dataclass(frozen=True)
class Allowance:
    """What was asked for: these precisions on top of the defaults, or none at all."""

    more: frozenset[str] = frozenset()
    defaults: bool = True

    def beside(self, usual: Iterable[str]) -> frozenset[str]:
        """All that is allowed where `usual` is by default."""
        return self.more | frozenset(usual) if self.defaults else self.more

    @property
    def words(self) -> str:
        """As --allow takes it."""
        return ",".join(sorted(self.more)) if self.defaults else NONE


DEFAULTS = Allowance()


def allowance(names: str | Iterable[str] = (), strict: bool = False) -> Allowance:
    """From the names of lower precisions, or "none"; raises Refused. `strict` is "none", too.

    >>> allowance("tf32,flush-to-zero").words
    'flush-to-zero,tf32'
    """
    each = [name.strip() for name in (names.split(",") if isinstance(names, str) else names) if name.strip()]
    known = ", ".join([*MEANINGS, NONE])
    for name in each:
        if name not in (*MEANINGS, NONE):
            raise Refused(
                say("there is no lower precision {name}", name=repr(name)), fix=say("they are {names}", names=known)
            )
    nothing = strict or NONE in each
    if nothing and set(each) - {NONE}:
        raise Refused(say("allow some lower precisions, or none, but not both"), got=", ".join(each),
                      fix=say("leave out {none}", none="--strict-precision" if strict else NONE))  # fmt: skip
    return Allowance(frozenset(each) - {NONE}, defaults=not nothing)


def storage(dtype: str) -> frozenset[str]:
    """Sums in the type of the numbers: if that has few digits, it is what was asked for."""
    return frozenset({f"{dtype}-accumulation"} if dtype in ("float16", "bfloat16") else ())


__all__ = ["DEFAULTS", "FLUSH", "MEANINGS", "NONE", "TENSOR_CORES", "TRANSFORMS", "Allowance", "allowance", "storage"]
