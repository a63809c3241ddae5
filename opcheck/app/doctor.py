"""`opcheck doctor`: what works on this machine, and what to install for the rest."""

import ctypes
import platform
import runpy
import sys
from importlib import metadata
from typing import Any

import click

from opcheck.app.output import output_options, show
from opcheck.language import say
from opcheck.steps import Block, Prose, Step, Table

# package, what it adds, the extra that installs it
EXTRAS = (
    ("torch", "verification of torch; gradients checked against autograd", "torch"),
    ("onnx", "verification of ONNX's reference implementation", "onnx"),
    ("onnxruntime", "verification of onnxruntime", "onnxruntime"),
    ("jax", "verification of jax", "jax"),
    ("tinygrad", "verification of tinygrad", "tinygrad"),
    ("hypothesis", "opcheck.testing: strategies and ready property tests", "testing"),
    ("distributed", "runs spread over several machines", "dask"),
    ("PIL", "worked calculations on a picture", "image"),
    ("sklearn", "the data for the classifier lesson", "data"),
)
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}


@click.command()
@output_options
def command(**options: Any) -> None:
    """Show what works on this machine: extras, CUDA, sandbox."""
    show(Step("", tuple(diagnosis())), options)


def diagnosis() -> list[Block]:
    return [
        Prose(say("opcheck {version} on Python {python}, {system}", version=_version("opcheck") or "?",
                  python=platform.python_version(), system=platform.platform(terse=True)), "title"),
        Table((say("package"), say("version"), say("adds")), tuple(_extra(*each) for each in EXTRAS)),
        Table((say("device"), "", ""), tuple(_devices())),
        Table((say("sandbox for untrusted code"), "", ""), tuple(_sandboxes())),
        *map(Prose, _not_held_back()),
    ]  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return metadata.version(DISTRIBUTIONS.get(package, package))
    except metadata.PackageNotFoundError:
        return None


def _extra(package: str, gives: str, extra: str) -> tuple[str, str, str]:
    version = _version(package)
    missing = say("missing")
    install = say("{gives} — pip install 'opcheck[{extra}]'", gives=say(gives), extra=extra)
    return (package, version, say(gives)) if version else (package, missing, install)


def _devices() -> list[tuple[str, str, str]]:
    cuda, what = _cuda()
    return [("cpu", say("yes"), platform.processor() or platform.machine()), ("cuda", cuda, what)]


def _cuda() -> tuple[str, str]:
    """Whether torch has a device; torch, which takes seconds to import, is only asked if it may have one."""
    version = _version("torch")
    if version is None:
        return say("unknown"), say("needs torch")
    built_for = runpy.run_path(str(metadata.distribution("torch").locate_file("torch/version.py")))
    if not (built_for.get("cuda") or built_for.get("hip")):
        return say("no"), say("torch {version} is built without CUDA", version=version)
    if built_for.get("cuda") and not _has_driver():
        return say("no"), say("there is no NVIDIA driver for torch {version}", version=version)
    import torch

    if torch.cuda.is_available():
        return say("yes"), torch.cuda.get_device_name()
    return say("no"), say("torch {version} sees no CUDA device", version=version)


def _has_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _sandboxes() -> list[tuple[str, str, str]]:
    """What the sandbox room finds when it tries each mechanism."""
    if sys.platform != "linux":
        return [("Linux", say("no"), say("untrusted code is graded on Linux only"))]
    from opcheck.sandbox import capabilities, counting

    rows: list[tuple[str, str, str]] = []
    for each in capabilities():
        rows.append((each.isolation.value, say("yes") if each.works else say("no"), each.reason))
        if each.works:
            rows.append(("", "", _counted(counting(each.isolation))))
    return rows


def _counted(way: str) -> str:
    """Who enforces the limit on threads and processes."""
    from opcheck.sandbox import Limits, Way

    most = Limits().tasks
    if way == Way.GROUP:
        return say("at most {most} threads, counted by the kernel (pids cgroup)", most=most)
    if way == Way.USER:
        return say("at most {most} threads, counted by the kernel (separate user)", most=most)
    return say("at most {most} threads; opcheck counts them and kills a submission with more", most=most)


def _not_held_back() -> list[str]:
    """What a submission can still do, for each kind of sandbox that works here."""
    if sys.platform != "linux":
        return []
    from opcheck.sandbox import Isolation, Limits, capabilities

    works = [each.isolation for each in capabilities() if each.works]
    if not works:
        return []
    limits = Limits()
    found = [
        say("What a sandbox does not stop: a submission can read the installed Python packages, see the machine's name "
            "and load, and keep every core busy until its time is up.")
    ]  # fmt: skip
    if Isolation.BUBBLEWRAP in works:
        found.append(
            say("Under bubblewrap it also has its own /tmp of up to {size} MiB and {files} files, on top of its "
                "memory limit.", size=limits.disk >> 20, files=limits.files)
        )  # fmt: skip
    if Isolation.LANDLOCK in works:
        found.append(
            say("Under Landlock it can also see which files exist, with their size, date and owner, but not what is "
                "in them; it cannot write any file.")
        )  # fmt: skip
    return found
