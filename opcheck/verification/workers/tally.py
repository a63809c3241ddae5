"""How many cases of each operator are done, of tasks that may run side by side."""

from collections import Counter

from opcheck.verification.run import Progress, Shard


class Tally:
    """Tells a progress how many cases of an operator in a dtype are done, whichever task they belong to."""

    def __init__(self, tasks: list[Shard], progress: Progress, timed: bool) -> None:
        self.progress = progress
        self.done: dict[Shard, int] = {}
        self.sums: Counter[tuple[str, str]] = Counter()
        self.totals: Counter[tuple[str, str]] = Counter()
        for task in tasks:
            self.totals[task.op, task.dtype] += 0 if timed else task.last - task.first
        for (op, dtype), total in self.totals.items():
            progress(op, dtype, 0, total)

    def at(self, task: Shard, done: int) -> None:
        """So many cases of a task are done. A worker that has not begun, or makes failures small, changes no number."""
        key, before = (task.op, task.dtype), self.done.get(task, 0)
        self.done[task] = min(max(before, done), task.last - task.first)
        self.sums[key] += self.done[task] - before
        total = self.totals[key]
        # a task whose worker died is done again in parts
        self.progress(*key, min(self.sums[key], total) if total else self.sums[key], total)
