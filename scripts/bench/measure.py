"""Runs one program in its own process and says what it took.

Nothing here imports numpy: on Linux a child's peak memory starts at that of the process it was forked from, so the
process that starts the others has to stay small.
"""

import bisect
import dataclasses
import os
import subprocess
import sys
import tempfile
import time

# ru_maxrss is in KiB, on macOS in bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
POLL_SECONDS = 0.002


@dataclasses.dataclass
class Run:
    out: str
    cpu: float  # user + system, all threads and children
    wall: float
    peak: int  # bytes
    clock: list  # (wall, CPU) since the start, every few milliseconds; empty where a child's clock cannot be read

    def cpu_between(self, start, end):
        """CPU seconds between two moments of the run; the wall-clock seconds where nothing better is known."""
        if not self.clock:
            return end - start
        return self._cpu_at(end) - self._cpu_at(start)

    def _cpu_at(self, moment):
        at = bisect.bisect_left(self.clock, (moment, 0.0))
        return self.clock[min(at, len(self.clock) - 1)][1]


def run(command, stdin="", environment=None):
    """Runs `command` to its end; a failure ends the bench with what the program said."""
    with tempfile.TemporaryFile("w+") as source, tempfile.TemporaryFile("w+") as out:
        source.write(stdin)
        source.seek(0)
        start = time.perf_counter()
        child = subprocess.Popen(command, stdin=source, stdout=out, env=dict(os.environ, **(environment or {})))
        clock = []
        while True:
            cpu = cpu_of(child.pid)
            if cpu is not None:
                clock.append((time.perf_counter() - start, cpu))
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(POLL_SECONDS)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"bench: exit code {child.returncode} from {' '.join(map(str, command))}")
        out.seek(0)
        return Run(out.read(), usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * RSS_UNIT, clock)


def cpu_of(pid):
    """The CPU clock of another process, all its threads. Linux builds the clock's id from the process id."""
    if sys.platform != "linux":
        return None
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None
