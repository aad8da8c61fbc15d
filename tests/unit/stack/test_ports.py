from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from moovier.errors import StackError
from moovier.settings import Settings
from moovier.stack.ports import check_ports
from tests.servers import free_port


@pytest.fixture
def settings() -> Settings:
    return Settings(port=free_port(), mlflow_port=free_port(), airflow_port=free_port())


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_free_ports_pass(settings: Settings) -> None:
    check_ports(settings)


@pytest.mark.parametrize("field", ["port", "mlflow_port", "airflow_port"])
def test_taken_port_is_reported_with_its_holder_and_variable(
    settings: Settings, field: str, taken: int
) -> None:
    with pytest.raises(StackError) as error:
        check_ports(settings.model_copy(update={field: taken}))
    assert f"port {taken}" in str(error.value)
    assert f"process {os.getpid()}" in str(error.value)
    assert f"MOOVIER_{field.upper()}" in str(error.value)


def test_all_taken_ports_are_reported_at_once(settings: Settings, taken: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=f"(?s){taken}.*{port}"):
            check_ports(settings.model_copy(update={"port": taken, "airflow_port": port}))


def test_one_port_for_two_processes_is_refused(settings: Settings) -> None:
    with pytest.raises(
        StackError, match=r"set for both the service and MLflow: set MOOVIER_MLFLOW"
    ):
        check_ports(settings.model_copy(update={"mlflow_port": settings.port}))


def test_foreign_host_address_is_refused(settings: Settings) -> None:
    with pytest.raises(StackError, match=r"cannot be used on 192\.0\.2\.1"):
        check_ports(settings.model_copy(update={"host": "192.0.2.1"}))


def test_port_of_a_server_that_just_ended_is_free(settings: Settings) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", settings.port))
        listener.listen()
        client = socket.create_connection(("127.0.0.1", settings.port))
        accepted, _ = listener.accept()
        accepted.close()  # The server closes first, so its side stays in TIME_WAIT.
        client.close()
    check_ports(settings)
