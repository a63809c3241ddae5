"""Other sizes for a module that comes with example inputs: the given ones suit a benchmark, but mistakes show at small
ones.

A whole number above LEAST that is a dimension of an example input, or an argument that the module is built with, is a
size. It is replaced everywhere, or kept if the module then cannot be built or run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

LEAST = 8  # a smaller number may be a kernel, a stride, an axis, a number of heads
SMALL = (3, 4, 2, 5, 6, 8, 16, 32, 64)  # the first that is possible replaces a size
NEAR_BLOCKS = (1, 2, 7, 8, 9, 16, 17, 31, 33, 64, 65, 127, 129)

Sizes = Mapping[int, int]


def found_in(value: Any) -> Iterator[int]:
    """Every size in an argument."""
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from found_in(each)
    elif type(value) is int and value > LEAST:
        yield value


def changed(value: Any, sizes: Sizes) -> Any:
    """An argument with other sizes."""
    if isinstance(value, (tuple, list)):
        return type(value)(changed(each, sizes) for each in value)
    return sizes.get(value, value) if type(value) is int else value


def resized(torch: Any, value: Any, sizes: Sizes) -> Any:
    """An example input with other sizes; whole numbers stay below the size that they are below now."""
    if not isinstance(value, torch.Tensor):
        return changed(value, sizes)
    shape = changed(tuple(value.shape), sizes)
    if value.is_floating_point():
        return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(value.dtype)
    most = int(value.max()) + 1 if value.numel() else 1
    above = min((size for size in sizes if size >= most), default=0)
    return torch.full(shape, min(most, sizes.get(above, most)) - 1, dtype=value.dtype)


def smallest(every: Sequence[int], possible: Callable[[Sizes], bool]) -> dict[int, int]:
    """The smallest possible replacement of all sizes."""
    found: dict[int, int] = {}
    for shift in range(
        max(every, default=0).bit_length() - 1, 0, -1
    ):  # together: a size that divides another still does
        together = {size: max(2, size >> shift) for size in every}
        if possible(together):
            found = together
            break
    for k, size in enumerate(sorted(every, reverse=True)):
        for other in (*SMALL[k % 3 :], *SMALL[: k % 3]):  # different sizes for different letters, where that can be
            apart = other not in found.values() and other < size
            if (other < found.get(size, size) or apart) and possible(found | {size: other}):
                found[size] = other
                break
    return found
