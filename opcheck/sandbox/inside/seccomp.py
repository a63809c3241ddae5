"""A system-call filter for one process of numerical code: what reaches beyond the process itself is refused.

The filter is a small BPF program, written by hand as `man 2 seccomp` describes it. It names what is allowed, so that a
family of calls that nobody thought of (System V's shared memory, asynchronous I/O, keys, what the next kernel brings)
is refused without being named. It refuses with an error code and does not kill, so that a library which merely tries
(to find a compiler, say) falls back and goes on. Sources: the kernel's arch/x86/entry/syscalls/syscall_64.tbl,
include/uapi/asm-generic/unistd.h, linux/seccomp.h, linux/audit.h.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from typing import NamedTuple

# name: (number on x86-64, number in the table that newer architectures share), None where there is no such call
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # its own memory
    "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226),
    "madvise": (28, 233), "mbind": (237, 235), "set_mempolicy": (238, 237), "get_mempolicy": (239, 236),
    "map_shadow_stack": (453, 453), "mseal": (462, 462),
    # itself and its own threads
    "exit": (60, 93), "exit_group": (231, 94), "gettid": (186, 178), "getpid": (39, 172), "getppid": (110, 173),
    "getpgrp": (111, None), "set_tid_address": (218, 96), "set_robust_list": (273, 99), "rseq": (334, 293),
    "arch_prctl": (158, None), "riscv_hwprobe": (None, 258), "futex": (202, 98), "futex_waitv": (449, 449),
    "futex_wake": (454, 454), "futex_wait": (455, 455), "futex_requeue": (456, 456), "sched_yield": (24, 124),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "getcpu": (309, 168),
    "wait4": (61, 260), "waitid": (247, 95), "getrlimit": (97, 163), "setrlimit": (160, 164), "getrusage": (98, 165),
    "times": (100, 153), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158), "restart_syscall": (219, 128),
    # signals to itself
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "pause": (34, None),
    "alarm": (37, None), "setitimer": (38, 103), "getitimer": (36, 102),
    # time, chance and the machine
    "time": (201, None), "gettimeofday": (96, 169), "nanosleep": (35, 101), "getrandom": (318, 278),
    "uname": (63, 160), "sysinfo": (99, 179),
    # files, once they are open
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65),
    "writev": (20, 66), "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287),
    "lseek": (8, 62), "close": (3, 57), "close_range": (436, 436), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72), "epoll_create": (213, None), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441),
    "eventfd": (284, None), "eventfd2": (290, 19), "ftruncate": (77, 46), "fallocate": (285, 47), "sendfile": (40, 71),
    "copy_file_range": (326, 285),
    # files by their paths: which ones can be opened is for bubblewrap and Landlock to say
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None), "stat": (4, None),
    "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78),
    "getdents": (78, None), "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50),
    "umask": (95, 166), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None),
    "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
}  # fmt: skip


class Only(NamedTuple):
    """A call that is allowed with some values of one argument only (of its lower 32 bits, which are all it has)."""

    numbers: tuple[int, int]
    argument: int
    values: tuple[int, ...]


SELF = -1  # stands for the process itself among the values
ONLY: dict[str, Only] = {
    "kill": Only((62, 129), 0, (SELF,)),
    "tgkill": Only((234, 131), 0, (SELF,)),
    "prlimit64": Only((302, 261), 0, (0, SELF)),
    "sched_setaffinity": Only((203, 122), 0, (0, SELF)),
    "sched_getaffinity": Only((204, 123), 0, (0, SELF)),
    "getpgid": Only((121, 155), 0, (0, SELF)),
    "getsid": Only((124, 156), 0, (0, SELF)),
    # No locks, leases and notices, which reach whoever has the file open, and no signals by way of a descriptor:
    # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ
    "fcntl": Only((72, 25), 1, (0, 1, 2, 3, 4, 1030, 1032)),
    # Asks about a terminal and types nothing into it: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": Only((16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),
    # Above all not PR_SET_PDEATHSIG: the worker goes on dying with its parent. PR_GET_DUMPABLE, PR_SET_NAME,
    # PR_GET_NAME, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS, what vectors the processor has (PR_SVE_GET_VL, PR_SME_GET_VL,
    # PR_RISCV_V_GET_CONTROL), PR_GET_AUXV, PR_SET_VMA
    "prctl": Only((157, 167), 0, (3, 15, 16, 23, 39, 51, 64, 70, 0x41555856, 0x53564D41)),
}
CLOCKS = {"clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115)}
OF_ANOTHER_PROCESS = 0x80000000  # a negative clock is that of a process or thread
CLONE, CLONE3 = (56, 220), (435, 435)
CLONE_THREAD = 0x10000
FIRST_UNKNOWN = 463  # younger than this table: refused as if the kernel did not have it

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; lower halves come first
_ARCHITECTURES = {  # machine: (AUDIT_ARCH, column of the tables, seccomp(2))
    "x86_64": (0xC000003E, 0, 317),
    "aarch64": (0xC00000B7, 1, 277),
    "riscv64": (0xC00000F3, 1, 277),
}
_X32 = 0x40000000


class Unsupported(Exception):
    """No filter can be made here; the text says why."""


def program(machine: str, pid: int) -> bytes:
    """The filter for a process `pid` as an array of struct sock_filter.

    >>> len(program("x86_64", 1)) % 8
    0
    """
    if machine not in _ARCHITECTURES:
        raise Unsupported(f"no table of system calls for {machine}; there is one for {', '.join(_ARCHITECTURES)}")
    architecture, column, _ = _ARCHITECTURES[machine]
    refuse = _instruction(_RETURN, _ERRNO | errno.EPERM)
    missing = _instruction(_RETURN, _ERRNO | errno.ENOSYS)
    allow = _instruction(_RETURN, _ALLOW)
    lines = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        lines += [_instruction(_AT_LEAST, _X32, 0, 1), refuse]  # the same calls under other numbers
    lines += [_instruction(_AT_LEAST, FIRST_UNKNOWN, 0, 1), missing]
    # clone3 keeps its flags out of a filter's sight; glibc falls back to clone
    lines += [_instruction(_EQUAL, CLONE3[column], 0, 1), missing]
    thread = [_instruction(_ANY_BIT, CLONE_THREAD, 0, 1), allow, refuse]
    lines += _argument(CLONE[column], 0, thread)
    for numbers in CLOCKS.values():
        lines += _argument(numbers[column], 0, [_instruction(_AT_LEAST, OF_ANOTHER_PROCESS, 0, 1), refuse, allow])
    for only in ONLY.values():
        values = (pid if value == SELF else value for value in only.values)
        lines += _argument(only.numbers[column], only.argument, [*_each(values, allow), refuse])
    lines += _each((number for number in (each[column] for each in ALLOWED.values()) if number is not None), allow)
    return b"".join([*lines, refuse])


def _argument(number: int, argument: int, body: list[bytes]) -> list[bytes]:
    """`body`, which must end in a return on every way, for one argument of this one system call."""
    return [_instruction(_EQUAL, number, 0, len(body) + 1), _instruction(_LOAD, _ARGUMENTS + 8 * argument), *body]


def _each(values: Iterable[int], result: bytes) -> list[bytes]:
    return [line for value in values for line in (_instruction(_EQUAL, value, 0, 1), result)]


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install() -> None:
    """Put the calling process (with one thread so far) under the filter, for good; needs no_new_privs.

    Raises Unsupported where the kernel has no such filters or there is no table for the architecture.
    """
    machine = platform.machine()
    code = program(machine, os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    loaded = _Program(len(code) // 8, code)
    if libc.syscall(_ARCHITECTURES[machine][2], 1, 0, ctypes.byref(loaded)) != 0:
        raise Unsupported(f"the kernel refuses a system-call filter: {os.strerror(ctypes.get_errno())}")
