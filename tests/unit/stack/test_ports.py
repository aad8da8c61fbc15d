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
def test_a_taken_port_names_its_holder_and_the_variable(
    settings: Settings, field: str, taken: int
) -> None:
    with pytest.raises(StackError) as error:
        check_ports(settings.model_copy(update={field: taken}))
    assert f"port {taken}" in str(error.value)
    assert f"process {os.getpid()}" in str(error.value)
    assert f"MOOVIER_{field.upper()}" in str(error.value)


def test_every_taken_port_is_named_at_once(settings: Settings, taken: int) -> None:
    with socket.socket() as another:
        another.bind(("127.0.0.1", 0))
        another.listen()
        port = another.getsockname()[1]
        with pytest.raises(StackError, match=f"(?s){taken}.*{port}"):
            check_ports(settings.model_copy(update={"port": taken, "airflow_port": port}))


def test_two_parts_on_one_port(settings: Settings) -> None:
    with pytest.raises(StackError, match=r"wanted by the service and MLflow: set MOOVIER_MLFLOW"):
        check_ports(settings.model_copy(update={"mlflow_port": settings.port}))


def test_an_address_that_is_not_this_machine(settings: Settings) -> None:
    with pytest.raises(StackError, match=r"cannot be used on 192\.0\.2\.1"):
        check_ports(settings.model_copy(update={"host": "192.0.2.1"}))


def test_a_server_that_just_ended_does_not_block_its_port(settings: Settings) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", settings.port))
        listener.listen()
        client = socket.create_connection(("127.0.0.1", settings.port))
        accepted, _ = listener.accept()
        accepted.close()  # the server closes first: its side stays in TIME_WAIT
        client.close()
    check_ports(settings)
