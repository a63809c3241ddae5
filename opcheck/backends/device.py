"""Where torch tensors live: the device's name, the switches that change its numbers, and whether it still works."""

import re
from typing import Any

from opcheck.backends.allowance import TENSOR_CORES, TRANSFORMS
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say

# what `torch.backends` calls the switches that change numbers on CUDA (its documentation, torch 2.13); allow_tf32 and
# float32_matmul_precision are not among them: torch refuses to read them where a program has set `fp32_precision`
SWITCHES = (
    "backends.fp32_precision",
    "backends.cuda.matmul.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.cuda.matmul.allow_fp16_accumulation",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
)
BEFORE_2_9 = ("backends.cuda.matmul.allow_tf32", "backends.cudnn.allow_tf32")  # what was there before fp32_precision


def checked(torch: Any, device: str) -> str:
    """The device, if torch has it here; raises Refused for an invalid name and CouldNotRun if the device is absent."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise Refused(say("the device must be cpu, cuda or cuda:NUMBER"), got=repr(device))
    if device == "cpu":
        return device
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = (
            say("torch {version} finds none", version=torch.__version__)
            if built
            else say("torch {version} was built without CUDA", version=torch.__version__)
        )
        raise CouldNotRun(
            say("there is no CUDA device here ({why}): use --device cpu, or run on a machine that has one", why=why)
        )
    count = torch.cuda.device_count()
    if int(device.partition(":")[2] or 0) >= count:
        raise CouldNotRun(say("there is no {device} here: torch finds {n} CUDA devices", device=device, n=count))
    return device


def described(torch: Any, device: str) -> str:
    """Library, version and hardware, for the report."""
    if device == "cpu":
        return f"torch {torch.__version__}"
    return f"torch {torch.__version__}, {torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"


def switches(torch: Any) -> dict[str, Any]:
    """torch's switches that change the numbers on CUDA, in their present state: torch's defaults unless somebody set
    them."""
    names = SWITCHES if hasattr(torch.backends, "fp32_precision") else (*SWITCHES, *BEFORE_2_9)
    found = {name.removeprefix("backends."): _read(torch, name) for name in names}
    found["deterministic_algorithms"] = torch.are_deterministic_algorithms_enabled()
    return {name: value for name, value in found.items() if value is not None}


def lower(torch: Any, storage: frozenset[str], convolves: bool) -> frozenset[str]:
    """The lower precisions that torch's switches allow on CUDA, as they stand; `storage`: sums in the type itself."""
    if convolves:
        place, old = "backends.cudnn.conv.fp32_precision", "backends.cudnn.allow_tf32"
    else:
        place, old = "backends.cuda.matmul.fp32_precision", "backends.cuda.matmul.allow_tf32"
        storage = frozenset(name for name in storage if _reduces(torch, name))
    new = _read(torch, place)
    coarse = new == "tf32" if new is not None else bool(_read(torch, old))
    transforms = convolves and bool(_read(torch, "backends.cudnn.enabled"))
    return storage | ({"tf32", TENSOR_CORES} if coarse else set()) | ({TRANSFORMS} if transforms else set())


def _reduces(torch: Any, name: str) -> bool:
    """Whether products may be summed in parts that are rounded to their type (newer torch has two such switches)."""
    kind = {"float16": "fp16", "bfloat16": "bf16"}[name.partition("-")[0]]
    switch = _read(torch, f"backends.cuda.matmul.allow_{kind}_reduced_precision_reduction")
    return bool(switch[0] if isinstance(switch, tuple) else switch)


def _read(torch: Any, name: str) -> Any:
    """One switch; None if this version of torch lacks it."""
    place = torch
    for part in name.split("."):
        try:
            place = getattr(place, part)
        except (AttributeError, AssertionError):
            return None
    return place


def is_lost(torch: Any, device: str) -> bool:
    """Whether the device no longer responds: after an illegal memory access, every call of the process fails."""
    if device == "cpu":
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False
