"""A system-call filter for one process of numerical code: no network, no new processes, no reach for other processes.

The filter is a small BPF program, written by hand as `man 2 seccomp` describes it. It refuses with an error code and
does not kill, so that a library which merely tries (to find a compiler, say) falls back and goes on. Sources: the
kernel's arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h, linux/seccomp.h, linux/audit.h.
"""

import ctypes
import errno
import os
import platform
import struct

# name: (number on x86-64, number in the table that newer architectures share), None where there is no such call
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the network, and memory that no limit counts
    "socket": (41, 198), "socketpair": (53, 199), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    # new processes and programs (threads are allowed: see clone below)
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    # the attributes of files, which Landlock leaves alone
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "truncate": (76, 45), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    # the kernel itself
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
CLONE, CLONE3, KILL, TGKILL = (56, 220), (435, 435), (62, 129), (234, 131)
PRLIMIT, SCHED_SETAFFINITY, FCNTL, IOCTL = (302, 261), (203, 122), (72, 25), (16, 29)
FIRST_UNKNOWN = 463  # younger than this table: refused as if the kernel did not have it

# They send a signal to another process by way of a descriptor (F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP), or type
# into a terminal (TIOCSTI, TIOCLINUX).
FCNTL_REFUSED = (8, 15)
IOCTL_REFUSED = (0x8901, 0x8902, 0x5412, 0x541C)
CLONE_THREAD = 0x10000

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24  # offsets in struct seccomp_data, little-endian halves
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
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            lines += [_instruction(_EQUAL, number, 0, 1), refuse]
    # clone3 keeps its flags out of a filter's sight; glibc falls back to clone
    lines += [_instruction(_EQUAL, CLONE3[column], 0, 1), missing]
    lines += _only(
        CLONE[column], [_instruction(_LOAD, _ARGUMENT_0), _instruction(_ANY_BIT, CLONE_THREAD, 1, 0), refuse, allow]
    )
    for numbers, targets in {
        KILL: (pid,),
        TGKILL: (pid,),
        PRLIMIT: (0, pid),
        SCHED_SETAFFINITY: (0, pid),
    }.items():
        lines += _only(numbers[column], [_instruction(_LOAD, _ARGUMENT_0), *_among(targets, allow), refuse])
    for numbers, commands in {FCNTL: FCNTL_REFUSED, IOCTL: IOCTL_REFUSED}.items():
        lines += _only(numbers[column], [_instruction(_LOAD, _ARGUMENT_1), *_among(commands, refuse), allow])
    return b"".join([*lines, allow])


def _only(number: int, body: list[bytes]) -> list[bytes]:
    """`body`, which must end in a return on every way, for this one system call."""
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def _among(values: tuple[int, ...], result: bytes) -> list[bytes]:
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
