"""The processes that stand for containers are killed where they are said to be, and none stays."""

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
    pytest.skip("127.0.0.0/8 is not this machine", allow_module_level=True)

#: Each renames its processes in a way of its own.
SERVICES = {"redis": 6379, "postgres": 5432}


@pytest.mark.parametrize("name", SERVICES)
def test_killed_means_gone_and_ended_means_all(name: str) -> None:
    variables = generated_variables()
    others = frozenset(read_compose(ROOT / "docker-compose.yaml", variables)) - {name}
    with process_stack(variables, {}) as stack:
        stack.up(timeout_s=60, without=others)
        assert answers(stack, name)
        before = of(stack)
        assert before
        stack.kill(f"{name}-1")
        assert not answers(stack, name)
        assert not [process for process in before if process.is_running()]
        with pytest.raises(RuntimeError, match="nothing of"):
            stack.kill(f"{name}-1")
        stack.start(f"{name}-1")
        stack.await_healthy(f"{name}-1", timeout_s=60)
        after = of(stack)
    assert after
    psutil.wait_procs(after, timeout=10)
    assert not [process for process in after if process.is_running()]


def answers(stack: ProcessStack, name: str) -> bool:
    address = stack.containers[f"{name}-1"].place.address
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((address, SERVICES[name])) == 0


def of(stack: ProcessStack) -> list[psutil.Process]:
    """All that works in the stack's folder, however it was found."""
    found = []
    until = time.monotonic() + 10
    while not found and time.monotonic() < until:
        for process in psutil.process_iter():
            try:
                if process.cwd().startswith(str(stack.folder)):
                    found.append(process)
            except psutil.Error:
                continue
    return found
