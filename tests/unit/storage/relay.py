"""A TCP relay before a server, which breaks connections on request: a network that fails."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Cuts the first `cuts` answers that reach `after` bytes; `cut` counts those that it did."""

    target: tuple[str, int]
    cuts: int
    after: int
    cut: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        sent = 0
        with contextlib.suppress(OSError), server, client:
            while data := server.recv(65_536):
                sent += len(data)
                if sent >= self.after and self._cuts_now():
                    client.sendall(data[: len(data) // 2])
                    # Closing alone would wait for the other thread, which is reading from it.
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)

    def _cuts_now(self) -> bool:
        with self.lock:
            if self.cut >= self.cuts:
                return False
            self.cut += 1
            return True


@contextlib.contextmanager
def failing_relay(url: str, *, cuts: int, after: int) -> Iterator[Relay]:
    """Run a relay before the server at `url`."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay((host, int(port)), cuts, after)
        relay.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=relay.serve, args=(listener,), daemon=True)
        thread.start()
        yield relay
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
