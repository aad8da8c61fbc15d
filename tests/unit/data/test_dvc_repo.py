"""The named DVC remote is used, and its own answer is reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moovier.data import dvc_remote, sources
from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataUnavailable, UnknownData
from moovier.settings import Settings
from tests.s3_server import s3_server

CORE = "[core]\n    analytics = false\n"


def section(name: str, url: Path | str) -> str:
    """Return the lines of a remote in ``.dvc/config``."""
    return f"['remote \"{name}\"']\n    url = {url}\n"


def configured(settings: Settings, config: str, **changes: object) -> Settings:
    """Write the checkout's ``.dvc/config``; return the settings with ``changes``."""
    (settings.project / ".dvc" / "config").write_text(config)
    return settings.model_copy(update={"data": sources.REAL, **changes})


@pytest.fixture
def stocked(settings: Settings, folder: Path, tmp_path: Path) -> Path:
    """A remote that holds the data set of the checkout's pointer."""
    remote = tmp_path / "stocked"
    dvc_remote.upload(
        folder, directory_hash(folder), settings.model_copy(update={"dvc_remote": str(remote)})
    )
    return remote


@pytest.mark.parametrize("data", ["auto", sources.REAL])
def test_named_remote_is_asked_instead_of_the_checkouts_default(
    settings: Settings, stocked: Path, tmp_path: Path, data: str
) -> None:
    config = "[core]\n    remote = mine\n" + section("mine", tmp_path / "empty")
    named = configured(settings, config, dvc_remote=str(stocked), data=data)
    assert sources.fetch(named).source == "remote"


def test_named_remote_is_asked_and_not_the_default_that_has_the_data(
    settings: Settings, stocked: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    config = "[core]\n    remote = mine\n" + section("mine", stocked)
    with pytest.raises(DataUnavailable, match=f"{empty} does not have ml-latest-small"):
        sources.fetch(configured(settings, config, dvc_remote=str(empty)))


def test_download_is_kept_in_the_named_remote(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    config = "[core]\n    remote = mine\n" + section("mine", tmp_path / "default")
    named = configured(settings, config, dvc_remote=str(tmp_path / "named"))
    pointer = dvc_remote.read_pointer(named.project, sources.REAL)
    shutil.copytree(folder, pointer.folder)
    dvc_remote.commit(pointer, pointer.folder, named)
    dvc_remote.push(pointer, named)
    assert list((tmp_path / "named").rglob("*.dir"))
    assert not (tmp_path / "default").exists()


@pytest.mark.parametrize("default", ["", "    remote = mine\n", "    remote = Mine\n"])
def test_renamed_or_only_remote_of_the_checkout_is_asked(
    settings: Settings, stocked: Path, default: str
) -> None:
    assert (
        sources.fetch(configured(settings, CORE + default + section("mine", stocked))).source
        == "remote"
    )


@pytest.mark.parametrize(
    ("default", "names", "message"),
    [
        ("", (), r"\.dvc/config has no remote: set MOOVIER_DVC_REMOTE"),
        ("", ("a", "b"), "has the remotes a, b and no default"),
        ("    remote = gone\n", ("a",), "default remote is 'gone', but its remotes are a"),
    ],
)
def test_checkout_without_a_usable_default_is_explained(
    settings: Settings, tmp_path: Path, default: str, names: tuple[str, ...], message: str
) -> None:
    config = CORE + default + "".join(section(name, tmp_path / name) for name in names)
    with pytest.raises(DataUnavailable, match=message):
        sources.fetch(configured(settings, config))


@pytest.mark.parametrize("scheme", ["gs", "ssh", "azure", "hdfs", "webdav", "oss", "gdrive"])
@pytest.mark.parametrize("data", ["auto", sources.REAL])
def test_missing_plugin_is_named(settings: Settings, scheme: str, data: str) -> None:
    named = settings.model_copy(update={"dvc_remote": f"{scheme}://place/x", "data": data})
    with pytest.raises(DataUnavailable, match=f"pip install dvc-{scheme}") as caught:
        sources.fetch(named)
    assert not caught.value.is_transient


def test_missing_plugin_of_the_checkouts_remote_is_named(settings: Settings) -> None:
    config = CORE + section("mine", "gs://bucket/x")
    with pytest.raises(DataUnavailable, match="pip install dvc-gs"):
        sources.fetch(configured(settings, config))


@pytest.mark.parametrize("url", ["foo://bucket/x", "postgres://host/x", "S3A://bucket/x"])
def test_unknown_scheme_is_named(settings: Settings, url: str) -> None:
    with pytest.raises(DataUnavailable, match=r"unknown scheme .*folder or one of.*s3") as caught:
        sources.fetch(settings.model_copy(update={"dvc_remote": url}))
    assert not caught.value.is_transient


def test_named_folder_that_does_not_exist_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"nowhere does not .*folder does not exist"):
        sources.fetch(settings.model_copy(update={"dvc_remote": str(tmp_path / "nowhere")}))


def test_unreachable_remote_is_not_called_empty(settings: Settings) -> None:
    with pytest.raises(DataUnavailable, match=r"127\.0\.0\.1:9") as caught:
        sources.fetch(settings.model_copy(update={"dvc_remote": "http://127.0.0.1:9/x"}))
    assert "does not have" not in str(caught.value)
    assert caught.value.is_transient


@pytest.mark.parametrize(
    ("variables", "url", "message", "transient"),
    [
        ({}, "s3://nobucket/x", "bucket does not exist", True),
        ({}, "s3://bucket/x", r"s3://bucket/x does not have ml-latest-small", True),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://bucket/x", "cannot be read", False),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://bucket/x", "Could not connect", True),
    ],
)
def test_the_stores_own_answer_is_reported(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    url: str,
    message: str,
    transient: bool,
) -> None:
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    with s3_server(tmp_path / "s3") as environment:
        for name, value in (environment | variables).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(DataUnavailable, match=message) as caught:
            sources.fetch(settings.model_copy(update={"dvc_remote": url}))
    assert caught.value.is_transient is transient


def test_remote_without_credentials_gives_the_librarys_reason(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DataUnavailable, match="credentials") as caught:
        sources.fetch(settings.model_copy(update={"dvc_remote": "s3://bucket/x"}))
    assert not caught.value.is_transient


def test_options_of_the_checkouts_remote_with_the_same_url_are_used(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    with s3_server(tmp_path / "s3") as environment:
        endpoint = environment.pop("AWS_ENDPOINT_URL")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        config = CORE + section("team", "s3://bucket/x") + f"    endpointurl = {endpoint}\n"
        with pytest.raises(DataUnavailable, match="s3://bucket/x does not have ml-latest-small"):
            sources.fetch(configured(settings, config, dvc_remote="s3://bucket/x"))


def test_named_remote_is_never_replaced_by_the_sample(settings: Settings, tmp_path: Path) -> None:
    named = settings.model_copy(update={"dvc_remote": str(tmp_path / "nowhere")})
    with pytest.raises(DataUnavailable, match="MOOVIER_DVC_REMOTE names a source of real ratings"):
        sources.fetch(named)
    assert not settings.path("data", "sample").exists()
    assert sources.fetch(named.model_copy(update={"data": "sample"})).synthetic


def test_real_folder_is_not_replaced_by_the_sample_after_use_auto(
    settings: Settings, folder: Path
) -> None:
    sources.use(settings, str(folder))
    sources.use(settings, "auto")
    with pytest.raises(DataUnavailable, match="real ratings were used here before"):
        sources.fetch(settings)
    assert sources.status(settings).ref is None
    sources.use(settings, "sample")
    assert sources.fetch(settings).synthetic
    sources.use(settings, "auto")
    assert sources.status(settings).ref is None


def test_synthetic_folder_does_not_stop_the_sample(settings: Settings, tmp_path: Path) -> None:
    sample = sources.fetch(settings).folder
    shutil.copytree(sample, tmp_path / "copy")
    sources.use(settings, str(tmp_path / "copy"))
    assert sources.fetch(settings).source == "directory"
    sources.use(settings, "auto")
    assert sources.fetch(settings).source == "sample"


def test_mistyped_data_set_is_a_permanent_error(settings: Settings) -> None:
    with pytest.raises(UnknownData, match="unknown data set 'ml-lastest'") as caught:
        sources.fetch(settings.model_copy(update={"data": "ml-lastest"}))
    assert not caught.value.is_transient
