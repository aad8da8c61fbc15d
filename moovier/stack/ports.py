"""Is each port free, and if not, who holds it."""

from __future__ import annotations

import socket
from contextlib import suppress

import psutil

from moovier.errors import StackError
from moovier.settings import PREFIX, Settings
from moovier.stack.services import LOOPBACK


def check_ports(settings: Settings) -> None:
    """
    Raises:
        StackError: two parts want the same port, or a port is taken; names each port, its holder
            where known, and the variable that moves it.
    """
    wanted = {
        "port": (settings.host, settings.port, "the service"),
        "mlflow_port": (LOOPBACK, settings.mlflow_port, "MLflow"),
        "airflow_port": (LOOPBACK, settings.airflow_port, "Airflow"),
    }
    problems = []
    seen: dict[int, str] = {}
    for field, (host, port, title) in wanted.items():
        variable = PREFIX + field.upper()
        if port in seen:
            problems.append(f"port {port} is wanted by {seen[port]} and {title}: set {variable}")
        elif reason := _refusal(host, port):
            problems.append(f"port {port} for {title} {reason}: set {variable} to a free one")
        seen.setdefault(port, title)
    if problems:
        raise StackError("; ".join(problems))


def _refusal(host: str, port: int) -> str | None:
    """Why nothing can listen at ``host:port``; None when something can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Connections that a stopped server left in TIME_WAIT don't count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except PermissionError:
        return "needs more rights than this user has"
    except OSError as error:
        holder = _holder(port)
        return f"is taken by {holder}" if holder else f"cannot be used on {host} ({error.strerror})"
    return None


def _holder(port: int) -> str | None:
    """The process that listens on ``port``, as far as this user may know."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            here = getattr(connection.laddr, "port", None) == port
            if listening and here and connection.pid:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:60] or process.name()
                return f"process {connection.pid} ({command})"
    return None
