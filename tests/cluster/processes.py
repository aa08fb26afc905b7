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


def listen_on_loopback() -> socket.socket:
    """A listening socket on a free port of the machine's loopback."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return listening


def start_supervisor(layout: Layout, tools: Tools, listening: socket.socket) -> int:
    """Start the supervisor in namespaces of its own and give its process id.

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
            return pid
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
            return
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # The pid may have been given to another process since the lock was asked.
                if supervisor_pid(layout) == pid:
                    signal.pidfd_send_signal(handle, number)
                # Readable only when the namespace's last process is gone too.
                if select.select([handle], [], [], 15)[0]:
                    return
            finally:
                os.close(handle)
    raise ClusterError(f"process {pid} does not end, not even by SIGKILL")


def inside(layout: Layout, command: list[str]) -> list[str]:
    """The command line that runs `command` within the cluster's namespaces."""
    pid = supervisor_pid(layout)
    if pid is None:
        raise ClusterError(
            f"cluster {layout.name!r} is not up: `python -m tests.cluster up --name {layout.name}`"
        )
    here = str(Path.cwd())
    return ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", f"--wd={here}", *command]
