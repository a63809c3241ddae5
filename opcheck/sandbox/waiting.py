"""How long a worker was ready to run and had no processor: on a busy machine a limit of time is for its own time."""

from pathlib import Path

NANOSECONDS = 1e9
LONGEST = 4.0  # times the limit: so much longer than its own time a request may take


def waits(pid: int) -> dict[int, int]:
    """The nanoseconds that each thread of a process, and of those that it started, has waited for a processor; nothing
    where the kernel does not say."""
    found: dict[int, int] = {}
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found[int(task.name)] = int((task / "schedstat").read_text().split()[1])
            for child in (task / "children").read_text().split():
                found |= waits(int(child))
    except (OSError, ValueError, IndexError):  # it ended meanwhile
        pass
    return found


def waited(pid: int, before: dict[int, int]) -> float:
    """The seconds since `before` for which the thread that waited longest has waited."""
    return max((now - before.get(task, 0) for task, now in waits(pid).items()), default=0) / NANOSECONDS
