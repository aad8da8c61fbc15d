"""`/models/{name}`: one registered model."""

from __future__ import annotations

from bentos.schemas.ops import ModelShown
from tests.service.api.client import (
    ApiClient,
    error_of,
    parsed,
)


def test_model_is_described_by_name_alias_and_number(api: ApiClient) -> None:
    version = api.champion
    for name in (version.name, "champion", str(version.number), f"{version.name}.h5"):
        shown = parsed(api.client.get(f"/models/{name}"), ModelShown)
        assert (shown.name, shown.version) == (version.name, version.number)
        assert (shown.family, shown.parent) == ("timeline", None)
        assert "champion" in shown.aliases
        assert shown.loaded
        assert shown.data_hash
        assert shown.run_url.startswith(api.settings.mlflow_tracking_uri)
        assert shown.run_url.endswith(version.run_id)
    stars = parsed(api.client.get("/models/stars"), ModelShown)
    assert (stars.name, stars.loaded) == (api.rating_model.name, True)
    assert api.champion.name in error_of(api.client.get("/models/nope"), 404)
