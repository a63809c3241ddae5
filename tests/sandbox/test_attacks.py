"""What a hostile submission tries, and what the host looks like afterwards: one worker for each kind of isolation.

An attack is an expression. It has failed if it raises one of the errors by which a kernel refuses, and the host's
things are as they were. What a kind is known not to hold back is in `KNOWN`: there the attack must work, so that what
`opcheck doctor` says stays true. And what honest code asks for must work (`HONEST`, `WRITES`).
"""

import ctypes
import errno
import fcntl
import functools
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opcheck.sandbox import File, Isolation, Limits, Worker

from .calls import ARCHITECTURES, FAMILIES
from .support import value

SUBMISSION = """
import ctypes, errno, fcntl, hashlib, locale, mmap, os, platform, resource, select, shutil, signal, socket, struct
import subprocess, sys, tempfile, time, uuid
from concurrent.futures import ThreadPoolExecutor
import numpy as np

libc = ctypes.CDLL(None, use_errno=True)
HOST = {}

def c(name, *arguments):
    "Call a function of the C library; -1 is an OSError."
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    if result in (-1, 0xFFFFFFFFFFFFFFFF):
        raise OSError(ctypes.get_errno(), name)
    return result

def opened(path, flags=os.O_RDONLY):
    return os.open(path, flags)

def tried(attack):
    try:
        result = eval(attack, globals())
    except OSError as error:
        return [type(error).__name__, errno.errorcode.get(error.errno, str(error))]
    except BaseException as error:
        return [type(error).__name__, str(error)]
    return ["possible", repr(result)[:200]]

def attacked(host, attacks):
    HOST.update(host)
    return [tried(attack) for attack in attacks]
"""

# {secret}: a file beside nothing that is the submission's; {victim}: a process of the host; {shared}: a file that the
# worker may read, as others do; the rest are objects that the host made.
ATTACKS: dict[str, list[str]] = {
    "files of the host": [
        "open('{secret}').read()",
        "open('/proc/self/root{secret}').read()",
        "os.open('{secret}', os.O_PATH) and open('/proc/self/fd/' + str(os.open('{secret}', os.O_PATH))).read()",
        "os.read(os.open('{secret}'.lstrip('/'), os.O_RDONLY, dir_fd=os.open('/', os.O_PATH)), 9)",
        "os.listdir('{folder}')",
        "os.listdir('/proc/{victim}')",
        "open('/etc/passwd').read()",
        "open('/etc/shadow').read()",
        "open('/proc/self/environ').read()",
        "open('/proc/1/maps').read()",
        "open('/proc/{victim}/mem', 'rb')",
        "os.readlink('/proc/{victim}/exe')",
        "os.listdir('/proc/{victim}/fd')",
        "open('/dev/mem', 'rb')",
        "open('/dev/kmsg')",
        "open('/dev/tty')",
        "os.listdir('/sys/fs/cgroup')",
        "os.listdir('/home')",
    ],
    "writing": [
        "open('{secret}', 'w')",
        "open(__file__, 'a')",
        "open('/dev/shm/opcheck-attack', 'w')",
        "open('{folder}/new', 'w')",
        "open(os.__file__, 'a')",
        "open('/opcheck-attack', 'w')",
        "os.truncate('{secret}', 0)",
        "os.unlink('{secret}')",
        "os.rename('{secret}', '{secret}.bak')",
        "os.link('{secret}', '/tmp/opcheck-link')",
        "os.mkdir('{folder}/new')",
        "os.symlink('x', '{folder}/new')",
        "os.mkfifo('/tmp/opcheck-fifo')",
        "os.mknod('/tmp/opcheck-node', 0o20666, os.makedev(1, 1))",
    ],
    "metadata": [
        "os.chmod('{secret}', 0o777)",
        "os.chmod('{shared}', 0o777)",
        "os.fchmod(opened('{shared}'), 0o777)",
        "os.chown('{secret}', 1, 1)",
        "os.utime('{shared}')",
        "os.setxattr('{shared}', 'user.attack', b'x')",
        "os.getxattr('{shared}', 'user.attack')",
        "os.listxattr('{shared}')",
        "os.statvfs('{shared}')",
        "fcntl.ioctl(opened('{shared}'), 0x40086602, b'\\0' * 8)",  # FS_IOC_SETFLAGS
        "fcntl.ioctl(opened('{shared}'), 0x80086601, b'\\0' * 8)",  # FS_IOC_GETFLAGS
    ],
    "memory, messages and semaphores of the host": [
        "c('shmat', {memory}, None, 0)",
        "c('shmctl', {memory}, 0, None)",
        "c('shmget', 0, 4096, 0o1666)",
        "c('msgrcv', {messages}, ctypes.create_string_buffer(64), 16, 0, 0o4000)",
        "c('msgctl', {messages}, 0, None)",
        "c('msgget', 0, 0o1666)",
        "c('semctl', {semaphores}, 0, 0)",
        "c('semop', {semaphores}, struct.pack('hhh', 0, 1, 0), 1)",
        "c('semget', 0, 1, 0o1666)",
        "c('mq_open', b'{queue}', os.O_RDWR)",
        "c('mq_unlink', b'{queue}')",
        "c('shm_unlink', b'/opcheck-attack')",
        "os.memfd_create('x')",
    ],
    "locks and notices": [
        "fcntl.flock(opened('{shared}'), fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(0, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.lockf(opened('{shared}'), fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "fcntl.fcntl(opened('{shared}'), fcntl.F_SETLEASE, fcntl.F_RDLCK)",
        "fcntl.fcntl(opened(os.path.dirname('{shared}')), fcntl.F_NOTIFY, 1)",
        "fcntl.fcntl(0, fcntl.F_SETOWN, {victim})",
        "fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)",
        "c('inotify_init1', 0)",
        "c('fanotify_init', 0, 0)",
    ],
    "other processes": [
        "os.kill({victim}, 9)",
        "os.kill({victim}, 0)",
        "os.kill({grader}, 9)",
        "os.kill(-1, 9)",
        "os.kill(0, 9)",
        "os.killpg(os.getpgid(os.getppid()), 9)",
        "os.pidfd_open({victim})",
        "c('ptrace', 16, {victim}, 0, 0)",
        "c('process_vm_readv', {victim}, None, 0, None, 0, 0)",
        "os.setpriority(os.PRIO_PROCESS, {victim}, 19)",
        "os.setpriority(os.PRIO_USER, 0, 19)",
        "os.nice(1)",
        "os.sched_setaffinity({victim}, [0])",
        "os.sched_getaffinity({victim})",
        "os.sched_setscheduler({victim}, os.SCHED_BATCH, os.sched_param(0))",
        "resource.prlimit({victim}, resource.RLIMIT_CPU)",
        "os.getpgid({victim})",
        "os.getsid({victim})",
        "time.clock_gettime((~{victim} << 3) | 2)",
        "c('sigqueue', {victim}, 9, None)",
        "os.setsid()",
        "os.setpgid(0, 0)",
    ],
    "outliving the grader": [
        "c('prctl', 1, 0, 0, 0, 0)",
        "c('prctl', 36, 1, 0, 0, 0)",
        "c('prctl', 4, 1, 0, 0, 0)",
        "c('prctl', 0x59616D61, -1, 0, 0, 0)",
        "os.fork()",
        "os.posix_spawn(sys.executable, ['python'], {{}})",
        "os.execv(sys.executable, ['python'])",
        "subprocess.run([sys.executable, '-c', ''])",
        "subprocess.run('true', shell=True)",
    ],
    "the network": [
        "socket.create_connection(('127.0.0.1', 80), 1)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socketpair()",
    ],
    "the kernel": [
        "c('unshare', 0x10000000)",
        "c('setns', 0, 0)",
        "c('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        "c('umount', b'/tmp')",
        "os.chroot('/tmp')",
        "os.setuid(0)",
        "os.setgroups([0])",
        "c('capset', struct.pack('II', 0x20080522, 0), b'\\xff' * 24)",
        "c('personality', 0x40000)",
        "c('reboot', 0)",
        "c('sync') or c('syncfs', 0)",
        "c('sethostname', b'x', 1)",
        "c('quotactl', 0, None, 0, None)",
    ],
    "limits and the terminal": [
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
        "resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))",
        "c('mlock', ctypes.create_string_buffer(4096), 4096)",
        "c('mlockall', 3)",
        "[fcntl.ioctl(0, 0x5412, b'x'), fcntl.ioctl(1, 0x5412, b'x')]",  # TIOCSTI
    ],
}
# What a kind does not hold back: `opcheck doctor` and lesson 17 say so.
KNOWN: dict[Isolation, list[str]] = {
    Isolation.BUBBLEWRAP: ["open(os.__file__).read(1)", "open('/tmp/opcheck-own', 'w').write('x')"],
    Isolation.LANDLOCK: [
        "open(os.__file__).read(1)",
        "os.stat('{shared}').st_size",
        "os.stat('/etc/passwd').st_size",
        "os.access('/etc/passwd', os.F_OK)",
        "os.stat('/proc/1').st_uid",
    ],
}
HONEST = [
    "[time.time(), time.perf_counter(), time.process_time(), time.thread_time(), time.sleep(0.001), os.times()]",
    "[os.cpu_count(), os.sched_getaffinity(0), os.uname().machine, os.getpid(), os.getppid(), os.getpgrp()]",
    "[os.urandom(3), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]",
    "[resource.getrlimit(resource.RLIMIT_AS), resource.setrlimit(resource.RLIMIT_CORE, (0, 0))]",
    "sum(ThreadPoolExecutor(4).map(abs, range(9)))",
    "[signal.setitimer(signal.ITIMER_REAL, 0), signal.alarm(0), signal.pthread_sigmask(signal.SIG_BLOCK, ())]",
    "os.kill(os.getpid(), 0)",
    "mmap.mmap(-1, 4096).write(b'x')",
    "np.memmap('{shared}', mode='r')[0]",
    "[os.stat(__file__).st_size, len(open(__file__).read()), os.path.realpath(__file__), os.getcwd()]",
    "[os.isatty(1), shutil.get_terminal_size(), os.get_blocking(1), select.select([], [], [], 0)]",
    "[np.linalg.svd(np.ones((200, 200)))[1][0], np.fft.fft(np.ones(64))[0], np.random.default_rng().random()]",
    "[locale.getlocale(), platform.platform(), uuid.uuid4(), hashlib.sha256(b'x').hexdigest()]",
    "print('x', file=sys.stderr, flush=True)",
]
WRITES = [
    "np.save('/tmp/x.npy', np.ones(9)) or np.load('/tmp/x.npy', mmap_mode='r').sum()",
    "[shutil.copyfile('/tmp/x.npy', '/tmp/y.npy'), os.rename('/tmp/y.npy', '/tmp/z.npy'), os.remove('/tmp/z.npy')]",
    "tempfile.TemporaryDirectory().__exit__(None, None, None)",
]
REFUSALS = {"EPERM", "EACCES", "ENOENT", "EROFS", "ENOSYS", "ESRCH", "EXDEV", "not allowed to raise maximum limit"}


def libc(name: str, *arguments: object) -> int:
    result = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
    assert result >= 0, (name, os.strerror(ctypes.get_errno()))
    return result


class Host:
    """Things of the host that a worker could reach if nothing held it: made, and looked at again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret, self.shared = folder / "answers" / "secret.txt", folder / "class" / "shared.txt"
        for path in (self.secret, self.shared):
            path.parent.mkdir()
            path.write_text("the answers")
        self.submission = folder / "class" / "attack.py"
        self.submission.write_text(SUBMISSION)
        self.memory = libc("shmget", 0, 4096, 0o1666)
        self.messages = libc("msgget", 0, 0o1666)
        libc("msgsnd", self.messages, (1).to_bytes(8, "little") + b"the answers", 11, 0o4000)
        self.semaphores = libc("semget", 0, 1, 0o1666)
        self.queue = f"/opcheck-{os.getpid()}"
        os.close(libc("mq_open", self.queue.encode(), os.O_CREAT | os.O_RDWR, 0o666, None))
        self.victim = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(1000)"])
        self.before = self.state()

    def facts(self, isolation: Isolation) -> dict[str, object]:
        shared = f"/submission/{self.shared.name}" if isolation is Isolation.BUBBLEWRAP else self.shared
        return {
            "folder": self.secret.parent, "secret": self.secret, "shared": shared, "memory": self.memory,
            "messages": self.messages, "semaphores": self.semaphores, "queue": self.queue,
            "victim": self.victim.pid, "grader": os.getpid(),
        }  # fmt: skip

    def state(self) -> dict[str, object]:
        pid = self.victim.pid
        with self.shared.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody else holds it
        os.close(libc("mq_open", self.queue.encode(), os.O_RDWR))
        return {
            "files": [(path.read_text(), path.stat()[:7], path.stat().st_mtime_ns, os.listxattr(path))
                      for path in (self.secret, self.shared)],
            "names": sorted(path.name for path in self.folder.rglob("*") if path.name != "__pycache__"),
            "shared memory": libc("shmctl", self.memory, 2, ctypes.create_string_buffer(512)),
            "semaphore": libc("semctl", self.semaphores, 0, 12),
            "messages": self.counted_messages(),
            "victim": (self.victim.poll(), os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid),
                       os.sched_getscheduler(pid)),
            "leftovers": [*Path("/dev/shm").glob("opcheck-*"), *Path("/").glob("opcheck-*")],
        }  # fmt: skip

    def counted_messages(self) -> int:
        data = ctypes.create_string_buffer(512)
        libc("msgctl", self.messages, 2, data)
        return int.from_bytes(data.raw[80:88], "little")  # msg_qnum of struct msqid_ds on 64-bit machines

    def close(self) -> None:
        libc("shmctl", self.memory, 0, None)
        libc("msgctl", self.messages, 0, None)
        libc("semctl", self.semaphores, 0, 0)
        libc("mq_unlink", self.queue.encode())
        self.victim.kill()
        self.victim.wait()


@contextmanager
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # not /tmp, which bubblewrap has another of
        found = Host(Path(folder))
        try:
            yield found
        finally:
            found.close()


def honest(isolation: Isolation) -> list[str]:
    return HONEST + (WRITES if isolation is Isolation.BUBBLEWRAP else [])


@functools.cache
def attacked(isolation: Isolation) -> dict[str, list[str]]:
    """What became of each attack, by its text; and that the host is as it was before."""
    families = (honest(isolation), *ATTACKS.values(), KNOWN[isolation])
    attacks = [attack for family in families for attack in family]
    with host() as there:
        filled = [attack.format(**there.facts(isolation)) for attack in attacks]
        with Worker(File(there.submission, root=there.submission.parent), isolation, Limits(seconds=60.0)) as worker:
            became = value(worker, "attacked", {}, filled)
        assert there.state() == there.before
    return dict(zip(attacks, became, strict=True))


def test_what_honest_code_asks_of_the_system_is_allowed(isolation):
    became = {attack: attacked(isolation)[attack] for attack in honest(isolation)}
    assert {attack: said for attack, said in became.items() if said[0] != "possible"} == {}


@pytest.mark.parametrize("family", ATTACKS)
def test_no_attack_gets_out(isolation, family):
    became = {attack: attacked(isolation)[attack] for attack in ATTACKS[family]}
    assert {attack: said for attack, said in became.items() if said[1] not in REFUSALS} == {}


def test_what_is_said_not_to_be_held_back_is_not(isolation):
    became = {attack: attacked(isolation)[attack] for attack in KNOWN[isolation]}
    assert {attack: said for attack, said in became.items() if said[0] != "possible"} == {}


def test_no_system_call_of_a_refused_family_gets_through(submit):
    column = ARCHITECTURES[platform.machine()][1]
    calls = {name: numbers[column] for family in FAMILIES.values() for name, numbers in family.items()}
    source = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        def called(numbers):
            found = []
            for number in numbers:
                ctypes.set_errno(0)
                found.append([libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno()])
            return found
    """
    known = {name: number for name, number in calls.items() if number is not None}
    became = dict(zip(known, value(submit(source), "called", [*known.values()]), strict=True))
    assert {name: said for name, said in became.items() if said != [-1, errno.EPERM]} == {}
