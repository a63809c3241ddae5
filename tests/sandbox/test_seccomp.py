"""The filter, run by a small interpreter of its instructions for each architecture that we have a table for."""

import errno
import struct

import pytest

from opcheck.sandbox.inside import seccomp

from .calls import ARCHITECTURES, FAMILIES

PID = 4321
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def decide(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do with the call: classic BPF on struct seccomp_data."""
    arguments = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    architecture = ARCHITECTURES[machine][0] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments)
    program, at, loaded = seccomp.program(machine, PID), 0, 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, operand)
            continue
        taken = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[code]
        at += if_true if taken else if_false


@pytest.fixture(params=ARCHITECTURES)
def machine(request):
    return request.param


@pytest.mark.parametrize("family", FAMILIES)
def test_no_call_of_a_family_that_reaches_beyond_the_process_is_allowed(machine, family):
    for name, numbers in FAMILIES[family].items():
        number = numbers[ARCHITECTURES[machine][1]]
        if number is not None:
            assert decide(machine, number) == EPERM, name


def test_what_is_not_named_is_refused(machine):
    column = ARCHITECTURES[machine][1]
    special = {*seccomp.CLOCKS.values(), *(only.numbers for only in seccomp.ONLY.values())}
    named = {numbers[column] for numbers in (*seccomp.ALLOWED.values(), *special, seccomp.CLONE, seccomp.CLONE3)}
    for number in {*range(463)} - named:
        assert decide(machine, number, PID) == EPERM, number
    for number in (463, 470, 0x3FFFFFFF):
        assert decide(machine, number) == ENOSYS, number
    for name, numbers in seccomp.ALLOWED.items():
        if numbers[column] is not None:
            assert decide(machine, numbers[column]) == ALLOW, name


def test_no_number_stands_twice():
    only = {name: each.numbers for name, each in seccomp.ONLY.items()}
    calls = {**seccomp.ALLOWED, **only, **seccomp.CLOCKS, "clone": seccomp.CLONE, "clone3": seccomp.CLONE3}
    for column in (0, 1):
        numbers = [each[column] for each in calls.values() if each[column] is not None]
        assert len(numbers) == len({*numbers})


def test_threads_may_start_and_processes_may_not(machine):
    column = ARCHITECTURES[machine][1]
    assert decide(machine, seccomp.CLONE[column], 0x3D0F00) == ALLOW  # glibc's pthread_create
    assert decide(machine, seccomp.CLONE[column], 0x1200011) == EPERM  # glibc's fork
    assert decide(machine, seccomp.CLONE[column], 0x10000000) == EPERM  # a new user namespace
    assert decide(machine, seccomp.CLONE3[column]) == ENOSYS


def number(machine: str, name: str) -> int:
    return {**seccomp.CLOCKS, **{key: only.numbers for key, only in seccomp.ONLY.items()}}[name][
        ARCHITECTURES[machine][1]
    ]


def test_signals_limits_and_affinity_reach_the_process_itself_only(machine):
    for name in ("kill", "tgkill", "prlimit64", "sched_setaffinity", "sched_getaffinity", "getpgid", "getsid"):
        assert decide(machine, number(machine, name), PID) == ALLOW
        for other in (PID + 1, 1, 0xFFFFFFFF):  # kill(-1): everybody
            assert decide(machine, number(machine, name), other) == EPERM, name
        own = EPERM if name in ("kill", "tgkill") else ALLOW  # kill(0): the group
        assert decide(machine, number(machine, name), 0) == own, name


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        # F_SETLK, F_SETLKW, F_SETOWN, F_SETSIG, F_SETOWN_EX, F_OFD_SETLK, F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ
        ("fcntl", (0, 1, 2, 3, 4, 1030), (5, 6, 7, 8, 10, 15, 37, 38, 1024, 1026, 1031, 1036)),
        # TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP, FS_IOC_SETFLAGS, FICLONE
        ("ioctl", (0x5401, 0x5451), (0x5412, 0x541C, 0x8901, 0x8902, 0x40086602, 0x40049409)),
    ],
)
def test_descriptors_carry_no_signals_locks_or_notices_and_type_into_no_terminal(machine, name, allowed, refused):
    for command in (*allowed, *refused):
        verdict = ALLOW if command in allowed else EPERM
        assert decide(machine, number(machine, name), 3, command) == verdict, command


def test_a_process_cannot_outlive_its_parent_or_let_others_trace_it(machine):
    for option, verdict in (
        (15, ALLOW),
        (39, ALLOW),
        (1, EPERM),
        (4, EPERM),
        (22, EPERM),
        (36, EPERM),
        (0x59616D61, EPERM),
    ):
        assert decide(machine, number(machine, "prctl"), option) == verdict, option


def test_the_clocks_of_other_processes_are_refused(machine):
    for name in seccomp.CLOCKS:
        for clock in (0, 1, 2, 3, 7):
            assert decide(machine, number(machine, name), clock) == ALLOW
        for clock in (0xFFFFFFFE, (~4321 << 3 | 2) & 0xFFFFFFFF):
            assert decide(machine, number(machine, name), clock) == EPERM


def test_calls_of_another_architecture_end_the_process(machine):
    assert decide(machine, 1, architecture=0x40000003) == KILL  # i386: other numbers for the same calls
    if machine == "x86_64":
        assert decide(machine, 0x40000000 | 41) == EPERM  # x32


def test_an_unknown_architecture_is_named():
    with pytest.raises(
        seccomp.Unsupported, match="no table of system calls for m68k; there is one for x86_64, aarch64"
    ):
        seccomp.program("m68k", 1)
