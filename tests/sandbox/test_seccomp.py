"""The filter, run by a small interpreter of its instructions for each architecture that we have a table for."""

import errno
import struct

import pytest

from opcheck.sandbox.inside import seccomp

PID = 4321
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}
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


def test_every_call_of_the_table_is_refused(machine):
    column = ARCHITECTURES[machine][1]
    for name, numbers in seccomp.REFUSED.items():
        if numbers[column] is not None:
            assert decide(machine, numbers[column]) == EPERM, name


def test_every_other_call_is_allowed_up_to_the_youngest_known(machine):
    column = ARCHITECTURES[machine][1]
    special = (seccomp.CLONE, seccomp.CLONE3, seccomp.KILL, seccomp.TGKILL)
    special += (seccomp.PRLIMIT, seccomp.SCHED_SETAFFINITY, seccomp.FCNTL, seccomp.IOCTL)
    named = {numbers[column] for numbers in (*seccomp.REFUSED.values(), *special)}
    for number in set(range(463)) - named:
        assert decide(machine, number) == ALLOW, number
    for number in (463, 470, 0x3FFFFFFF):
        assert decide(machine, number) == ENOSYS, number


def test_threads_may_start_and_processes_may_not(machine):
    column = ARCHITECTURES[machine][1]
    assert decide(machine, seccomp.CLONE[column], 0x3D0F00) == ALLOW  # glibc's pthread_create
    assert decide(machine, seccomp.CLONE[column], 0x1200011) == EPERM  # glibc's fork
    assert decide(machine, seccomp.CLONE[column], 0x10000000) == EPERM  # a new user namespace
    assert decide(machine, seccomp.CLONE3[column]) == ENOSYS


def test_signals_limits_and_affinity_reach_the_process_itself_only(machine):
    column = ARCHITECTURES[machine][1]
    for numbers in (seccomp.KILL, seccomp.TGKILL, seccomp.PRLIMIT, seccomp.SCHED_SETAFFINITY):
        assert decide(machine, numbers[column], PID) == ALLOW
        assert decide(machine, numbers[column], PID + 1) == EPERM
        assert decide(machine, numbers[column], 1) == EPERM
        assert decide(machine, numbers[column], 0xFFFFFFFF) == EPERM  # kill(-1): everybody
    assert decide(machine, seccomp.KILL[column], 0) == EPERM
    assert decide(machine, seccomp.PRLIMIT[column], 0) == ALLOW


def test_descriptors_cannot_carry_signals_or_type_into_a_terminal(machine):
    column = ARCHITECTURES[machine][1]
    for command, verdict in ((1, ALLOW), (1030, ALLOW), (8, EPERM), (15, EPERM)):
        assert decide(machine, seccomp.FCNTL[column], 3, command) == verdict
    for command, verdict in ((0x5401, ALLOW), (0x5412, EPERM), (0x541C, EPERM), (0x8901, EPERM), (0x8902, EPERM)):
        assert decide(machine, seccomp.IOCTL[column], 0, command) == verdict


def test_calls_of_another_architecture_end_the_process(machine):
    assert decide(machine, 1, architecture=0x40000003) == KILL  # i386: other numbers for the same calls
    if machine == "x86_64":
        assert decide(machine, 0x40000000 | 41) == EPERM  # x32


def test_an_unknown_architecture_is_named():
    with pytest.raises(
        seccomp.Unsupported, match="no table of system calls for m68k; there is one for x86_64, aarch64"
    ):
        seccomp.program("m68k", 1)
