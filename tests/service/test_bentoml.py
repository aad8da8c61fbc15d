"""What the service needs of BentoML's private modules. Run it before the version's cap is raised.

Each assertion's message says what breaks with a BentoML that changed.
"""

from __future__ import annotations

import inspect
import tomllib

import pytest
from bentoml._internal.server.base_app import BaseAppFactory
from bentoml._internal.server.http import traffic
from packaging.requirements import Requirement

from bentos.middleware.time_out import TimeOut, replace_bentoml_time_out
from tests.dvc_checkout import ROOT


class Factory(BaseAppFactory):  # type: ignore[misc]
    """A factory of BentoML's applications without a service."""

    name = "test"


def test_bentoml_builds_its_applications_with_our_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bentomls_own = getattr(traffic, "TimeoutMiddleware", None)
    assert bentomls_own is not None, "BentoML's time-out has moved: see replace_bentoml_time_out"
    # So that the end of the test restores it.
    monkeypatch.setattr(traffic, "TimeoutMiddleware", bentomls_own)
    replace_bentoml_time_out()
    (middleware,) = Factory(timeout=3.0).middlewares
    assert middleware.cls is TimeOut, (
        "BentoML does not use the replaced time-out: every request leaves a timer behind"
    )
    arguments = inspect.signature(TimeOut).parameters
    assert set(middleware.kwargs) == set(arguments) - {"app"}, (
        "BentoML gives its time-out other arguments than bentos.middleware.time_out.TimeOut takes"
    )


def test_bentoml_is_capped_below_the_next_minor_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (required,) = [
        requirement
        for requirement in map(Requirement, project["optional-dependencies"]["serve"])
        if requirement.name == "bentoml"
    ]
    assert "1.4.39" in required.specifier
    assert "1.5.0" not in required.specifier
