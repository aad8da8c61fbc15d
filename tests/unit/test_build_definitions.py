"""Build definitions repeat lists that pyproject.toml has elsewhere."""

from __future__ import annotations

import tomllib

from tests.dvc_checkout import ROOT


def test_bento_installs_the_extra_serve() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["bentoml"]["build"]["python"]["packages"]
    constraint, *requirements = packages
    assert constraint.startswith("-c ")
    assert requirements == project["project"]["optional-dependencies"]["serve"]
