"""CPU and memory of a contender: all of its processes, with its nats-server told apart.

CPU is user plus system time; memory is the sum of resident sets, so pages that processes share
count more than once. Source: /proc through psutil; the kernel counts CPU in steps of 10 ms.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

NATS = "nats-server"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """At one moment: CPU seconds so far and resident bytes, of all processes and of the bus."""

    cpu_s: float
    nats_cpu_s: float
    rss_bytes: int
    nats_rss_bytes: int


class Meter:
    """Reads the processes below ``pids``; which they are is looked up by ``refresh``."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._processes: list[tuple[psutil.Process, bool]] = []
        self.refresh()

    def refresh(self) -> None:
        found: dict[int, psutil.Process] = {}
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                for process in (root, *root.children(recursive=True)):
                    found[process.pid] = process
        self._processes = [(p, _name(p) == NATS) for p in found.values()]

    def read(self) -> Reading:
        cpu_s = nats_cpu_s = 0.0
        rss = nats_rss = 0
        for process, is_nats in self._processes:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used, resident = times.user + times.system, process.memory_info().rss
                cpu_s += used
                rss += resident
                if is_nats:
                    nats_cpu_s += used
                    nats_rss += resident
        return Reading(cpu_s=cpu_s, nats_cpu_s=nats_cpu_s, rss_bytes=rss, nats_rss_bytes=nats_rss)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""
