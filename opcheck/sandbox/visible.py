"""What of this machine a worker gets to see: an interpreter with its packages, and no more."""

import functools
import sys
import sysconfig
from pathlib import Path

import numpy as np

_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu")  # what torch asks to choose its kernels


@functools.cache
def hiding(hidden: tuple[str, ...]) -> list[str]:
    """The files and folders beneath the readable paths that are, or belong to, the hidden modules."""
    folders = {*packages(), *(str(each) for path in readable() for each in Path(path).glob("python*/*-packages"))}
    return sorted(
        str(found)
        for folder in folders
        for name in hidden
        for pattern in (name, f"{name}.py", f"{name}.*.so", f"{name}.libs")
        for found in Path(folder).glob(pattern)
    )


@functools.cache
def readable() -> list[str]:
    """What an interpreter with numpy needs to read, without repetitions or paths inside one another."""
    base = Path(sys.base_prefix)
    wanted = [Path(path) for path in _SYSTEM_LIBRARIES]
    wanted += [base / "lib", base / "lib64", Path(python()), Path(sysconfig.get_path("stdlib"))]
    wanted += [Path(path) for path in packages()]
    kept: list[Path] = []
    for path in sorted({path for path in wanted if path.exists()}):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return [str(path) for path in kept]


@functools.cache
def packages() -> list[str]:
    """The folders from which a submission may import: where pip installs, and where numpy was found."""
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(np.__file__).parent.parent)]
    return [folder for folder in dict.fromkeys(folders) if Path(folder).is_dir()]


def python() -> str:
    return str(Path(sys.executable).resolve())
