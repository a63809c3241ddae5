"""The part of this machine that a worker can see: an interpreter with its packages, and no more."""

import functools
import re
import sys
import sysconfig
from importlib.metadata import Distribution, distributions
from pathlib import Path

import numpy as np

_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_PROJECT = re.compile(r"[A-Za-z0-9._-]+")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu")  # what torch reads to choose its kernels


@functools.cache
def libraries() -> list[str]:
    """The folders beneath the readable paths in which packages are installed."""
    places = [path for path in readable() if not Path(path).is_symlink()]  # /lib -> usr/lib
    return sorted({*packages(), *(str(each) for path in places for each in Path(path).glob("python*/*-packages"))})


@functools.cache
def needed(allowed: tuple[str, ...]) -> frozenset[str]:
    """The names of files and folders of installed packages that belong to the allowed modules, or that these need.

    numpy is always there: the worker itself works with it.
    """
    known = {_plain(each.metadata["Name"] or ""): each for each in distributions(path=libraries())}
    tops = {name: _tops(each) for name, each in known.items()}
    waiting = [name for name, top in tops.items() if {"numpy", *allowed} & {each.partition(".")[0] for each in top}]
    closed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in closed or name not in known:
            continue
        closed.add(name)
        required = (each for each in known[name].requires or () if "extra ==" not in each)
        waiting += [_plain(match[0]) for each in required if (match := _PROJECT.match(each))]
    by_name = {f"{name}{suffix}" for name in ("numpy", *allowed) for suffix in ("", ".py", ".libs")}
    return frozenset(by_name | {top for name in closed for top in tops[name]})


@functools.cache
def refused(allowed: tuple[str, ...]) -> list[str]:
    """The modules that are installed and neither allowed nor needed by what is."""
    there = {each.name.partition(".")[0] for folder in libraries() for each in Path(folder).iterdir()}
    kept = {name.partition(".")[0] for name in needed(allowed)}
    return sorted(name for name in there - kept if name.isidentifier() and not name.startswith("__"))


@functools.cache
def outside(allowed: tuple[str, ...]) -> list[str]:
    """The files and folders of installed packages that are neither allowed nor needed by what is."""
    kept = needed(allowed)
    return sorted(str(each) for folder in libraries() for each in Path(folder).iterdir() if each.name not in kept)


def _tops(distribution: Distribution) -> set[str]:
    """The files and folders that a package has put among the others."""
    return {file.parts[0] for file in distribution.files or () if file.parts and file.parts[0] not in ("..", "/")}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def hiding(hidden: tuple[str, ...]) -> list[str]:
    """The files and folders beneath the readable paths that are, or belong to, the hidden modules."""
    return sorted(
        str(found)
        for folder in libraries()
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
