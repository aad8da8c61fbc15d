"""The processes of the stack are killed and ended completely."""

from __future__ import annotations

import socket
import time

import psutil
import pytest

from tests.stack_processes.compose import read_compose
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.driver import generated_variables
from tests.stack_processes.processes import ProcessStack, has_loopback_network, process_stack

if not has_loopback_network():
    pytest.skip("127.0.0.0/8 does not belong to this machine", allow_module_level=True)

#: Both rename their processes, each in its own way.
SERVICES = {"redis": 6379, "postgres": 5432}


@pytest.mark.parametrize("name", SERVICES)
def test_kill_and_end_leave_no_process(name: str) -> None:
    variables = generated_variables()
    others = frozenset(read_compose(ROOT / "docker-compose.yaml", variables)) - {name}
    with process_stack(variables, {}) as stack:
        stack.up(timeout_s=200, without=others)
        assert answers(stack, name)
        before = processes_of(stack)
        assert before
        stack.kill(f"{name}-1")
        assert not answers(stack, name)
        # A killed process exists until its parent has read how it ended.
        _, left = psutil.wait_procs(before, timeout=10)
        assert left == []
        with pytest.raises(RuntimeError, match="no running process"):
            stack.kill(f"{name}-1")
        stack.start(f"{name}-1")
        stack.await_healthy(f"{name}-1", timeout_s=200)
        after = processes_of(stack)
    assert after
    _, left = psutil.wait_procs(after, timeout=10)
    assert left == []


def answers(stack: ProcessStack, name: str) -> bool:
    address = stack.containers[f"{name}-1"].paths.address
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((address, SERVICES[name])) == 0


def processes_of(stack: ProcessStack) -> list[psutil.Process]:
    """Return the processes that work in the stack's folder, independently of the stack's own list.

    Waits up to a minute for the first one.
    """
    processes: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while not processes and time.monotonic() < deadline:
        for process in psutil.process_iter():
            try:
                if process.cwd().startswith(str(stack.folder)):
                    processes.append(process)
            except psutil.Error:
                continue
    return processes
