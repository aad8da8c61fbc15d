"""A TCP relay in front of a real server, to simulate outages without stopping the server."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


class Relay:
    """A relay that forwards bytes until it is cut; clients use its ``address``."""

    def __init__(self, address: str) -> None:
        target = urlsplit(address)
        self._target = (target.hostname or "127.0.0.1", target.port or 80)
        self._open: set[socket.socket] = set()
        self._cut = False
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                relay._forward(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def cut(self) -> None:
        """Close the open connections and refuse new ones."""
        self._cut = True
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Forward new connections again."""
        self._cut = False

    def close(self) -> None:
        """Stop the relay for good."""
        self.cut()
        self._server.shutdown()
        self._server.server_close()

    def _forward(self, client: socket.socket) -> None:
        if self._cut:
            return
        with socket.create_connection(self._target) as server:
            connections = {client, server}
            self._open |= connections
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()
            self._open -= connections


@contextlib.contextmanager
def relay_before(address: str) -> Iterator[Relay]:
    """Run a relay in front of the server at ``address``."""
    relay = Relay(address)
    try:
        yield relay
    finally:
        relay.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
