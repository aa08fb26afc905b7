"""The supervisor as seen from the machine: starting it, finding it, ending it, going inside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import REPOSITORY, Layout
from tests.cluster.supervisor import tail
from tests.cluster.tools import Tools

# struct flock: l_type, l_whence, l_start, l_len, l_pid, padded as the compiler does.
FLOCK = "hhqqi4x"


def supervisor_pid(layout: Layout) -> int | None:
    """The supervisor's process id on this machine, or None where none lives.

    The kernel says who holds the lock, translated to the asker's PID namespace; unlike a pid
    in a file it cannot be stale or someone else's.
    """
    try:
        descriptor = os.open(layout.lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
    finally:
        os.close(descriptor)
    kind, _, _, _, pid = struct.unpack(FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else int(pid)


@dataclass(frozen=True)
class Process:
    """A process, and no other that is given its number later: `started` is in clock ticks."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process of that number; None where there is none, or only its exit status."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # proc(5): the name, in parentheses, may hold anything; state and start time follow it.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def lives(self) -> bool:
        return Process.of(self.pid) == self


def listen_on_loopback() -> socket.socket:
    """A listening socket on a free port of the machine's loopback."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return listening


def start_supervisor(layout: Layout, tools: Tools, listening: socket.socket) -> None:
    """Start the supervisor in namespaces of its own and return when it has its lock.

    If its outer process, unshare, is killed, the kernel kills the supervisor too.
    """
    log = layout.logs / "supervisor.log"
    command = [
        *(tools.program("unshare"), "--pid", "--mount", "--net", "--fork", "--kill-child"),
        *("--mount-proc", sys.executable, "-m", "tests.cluster.supervisor"),
        *(str(layout.plan), str(listening.fileno())),
    ]
    with log.open("ab") as output:
        outer = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if pid := supervisor_pid(layout):
            both = [process for p in (outer.pid, pid) if (process := Process.of(p))]
            lines = [f"{process.pid} {process.started}\n" for process in both]
            layout.supervisor.write_text("".join(lines))
            return
        if outer.poll() is not None:
            raise ClusterError(f"the supervisor ended at once:\n{tail(log)}")
        time.sleep(0.02)
    outer.kill()
    raise ClusterError(f"the supervisor did not start within 30 s:\n{tail(log)}")


def end_supervisor(layout: Layout) -> None:
    """End the supervisor, and with it every process of the cluster; return when all are gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = supervisor_pid(layout)
        if pid is None:
            break
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # The pid may have been given to another process since the lock was asked.
                if supervisor_pid(layout) == pid:
                    signal.pidfd_send_signal(handle, number)
                select.select([handle], [], [], 15)
            finally:
                os.close(handle)
    _outlive(layout)


def _outlive(layout: Layout) -> None:
    """Wait for the supervisor to be gone: its lock goes before the processes under it do.

    The kernel lets PID 1 of a namespace end last, after all others in it.
    """
    if not layout.supervisor.exists():
        return
    lines = [line.split() for line in layout.supervisor.read_text().splitlines()]
    were = [Process(int(pid), int(started)) for pid, started in lines]
    deadline = time.monotonic() + 20
    while alive := [process.pid for process in were if process.lives()]:
        if time.monotonic() > deadline:
            raise ClusterError(f"process {alive[0]} does not end, not even by SIGKILL")
        time.sleep(0.02)


def inside(layout: Layout, command: list[str]) -> list[str]:
    """The command line that runs `command` within the cluster's namespaces."""
    pid = supervisor_pid(layout)
    if pid is None:
        raise ClusterError(
            f"cluster {layout.name!r} is not up: `python -m tests.cluster up --name {layout.name}`"
        )
    here = str(Path.cwd())
    return ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", f"--wd={here}", *command]
