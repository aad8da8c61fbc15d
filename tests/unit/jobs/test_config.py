from __future__ import annotations

import pytest

from moovier.errors import BadRequest
from moovier.jobs.batch import BatchConfig
from moovier.jobs.config import parse_config


def test_values_become_a_configuration_with_defaults() -> None:
    assert parse_config(BatchConfig, {"top_k": 3}, "batch") == BatchConfig(top_k=3)


def test_configuration_is_returned_unchanged() -> None:
    config = BatchConfig(top_k=3)
    assert parse_config(BatchConfig, config, "batch") is config


def test_error_names_the_subject_and_every_invalid_field() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_config(BatchConfig, {"top_k": 0, "shard": 1}, "batch")
    message = str(caught.value)
    assert message.startswith("Invalid batch configuration: ")
    assert "top_k: " in message
    assert "shard: " in message
