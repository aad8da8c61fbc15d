"""Settings: documentation, validation, and masked secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from moovier.errors import SettingsError
from moovier.settings import PREFIX, Settings, load_settings
from moovier.settings_page import page, variable
from tests.dvc_checkout import ROOT


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Settings.model_fields.items():
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
        monkeypatch.delenv(variable(name, field), raising=False)


def test_documentation_page_is_up_to_date() -> None:
    """If this fails, run python -m moovier.settings_page > docs/settings.md."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_setting_has_a_description_and_is_read_from_its_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Settings.model_fields[name]
    assert field.description
    assert field.description.endswith(".")
    assert f"`{variable(name, field)}`" in page()
    before = getattr(load_settings(), name)
    examples = {
        "database_url": "sqlite:////1.db",
        "event_weights": "seen=1",
        "engine": "spark",
        "spark_master": "spark://h:1",
    }
    example = examples.get(name, "http://h:1" if "ur" in name else "1")
    monkeypatch.setenv(variable(name, field), example)
    after = getattr(load_settings(), name)
    assert after != before or before == 1


def test_defaults_need_no_variables() -> None:
    settings = load_settings()
    assert settings.data == "auto"
    assert settings.mlflow_tracking_uri == "http://127.0.0.1:5000"
    assert settings.path("a", "b") == Path.cwd() / ".moovier" / "a" / "b"


def test_mlflow_address_has_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_MLFLOW_PORT", "5055")
    assert load_settings().mlflow_tracking_uri == "http://127.0.0.1:5055"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("BAD_ROWS_SHARE", "1.5"),
        ("BAD_ROWS_SHARE", "-0.1"),
        ("ENGINE", "dask"),
        ("SPARK_MASTER", "local[2]"),
        ("SPARK_MASTER", "http://h:7077"),
        ("TRIALS", "0"),
        ("DOWNLOAD_TIMEOUT_S", "0"),
        ("DOWNLOAD_TIMEOUT_S", "inf"),
        ("DOWNLOAD_TIMEOUT_S", "nan"),
        ("KEEP_LISTS_DAYS", "1e10"),
        ("MONITOR_USERS", "inf"),
        ("TRIALS", "10001"),
        ("TUNING_WORKERS", "1000"),
        ("TRAIN_THREADS", "1000000"),
        ("SEED", "-1"),
        ("SEED", "4294967296"),
    ],
)
def test_value_out_of_range_is_refused_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MOOVIER_{name}", value)
    with pytest.raises(SettingsError, match=f"MOOVIER_{name}"):
        load_settings()


def test_largest_seed_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_SEED", str(2**32 - 1))
    assert load_settings().seed == 2**32 - 1


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"]
)
def test_postgres_is_accepted_in_each_spelling(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{scheme}://user:p%40ss@host:5432/db?sslmode=require"
    monkeypatch.setenv("MOOVIER_DATABASE_URL", url)
    monkeypatch.setenv("MOOVIER_OPTUNA_STORAGE", url)
    expected = "postgresql+psycopg://user:p%40ss@host:5432/db?sslmode=require"
    settings = load_settings()
    assert (settings.database, settings.optuna_storage) == (expected, expected)


@pytest.mark.parametrize("name", ["MOOVIER_DATABASE_URL", "MOOVIER_OPTUNA_STORAGE"])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://user:hush@host/0", "names redis"),
        ("postgressql://user:hush@host/db", "names postgressql"),
        ("mongodb://user:hush@host/db", "names mongodb"),
        ("postgres:/user:hush@host/db", "is not a URL"),
        ("postgres://user:hush@host:port/db", "is not a URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_database_url_that_cannot_work_is_refused(
    name: str, url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError, match=f"{name}: {message}.*postgresql://user") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_study_storage_without_a_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_OPTUNA_STORAGE", "mysql://user:hush@host/db")
    with pytest.raises(SettingsError, match="needs a driver that is not installed"):
        load_settings()


def test_study_storage_may_be_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_OPTUNA_STORAGE", "/shared/studies.journal")
    assert load_settings().optuna_storage == "/shared/studies.journal"


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MOOVIER_TRAINER_URL", "MOOVIER_TMDB_URL"])
@pytest.mark.parametrize(
    "url", ["postgres://user:hush@host/db", "mlruns", "http://", "http://h:99999", "host:5000"]
)
def test_address_that_is_no_server_is_refused(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError, match=rf"{name}: .*http://host:port") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_DATTA", "sample")
    with pytest.raises(SettingsError, match=r"MOOVIER_DATTA.*docs/settings\.md"):
        load_settings()


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_PORT", "")
    assert load_settings().port == 8000


def test_override_takes_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOVIER_DATA", "sample")
    assert load_settings(data="auto").data == "auto"
    with pytest.raises(SettingsError):
        load_settings(datta="auto")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings().port = 1  # type: ignore[misc]


def test_secret_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMDB_API_KEY", "secret-key")
    settings = load_settings()
    assert settings.tmdb_api_key is not None
    assert settings.tmdb_api_key.get_secret_value() == "secret-key"
    assert (
        "secret-key" not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
    )
