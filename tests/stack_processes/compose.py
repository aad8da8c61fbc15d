"""Reading docker-compose.yaml as Docker does: variables, anchors, merged mappings, short forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<bare>[A-Za-z_]\w*)|"
    r"\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<text>[^}]*))?\})"
)


class MissingVariable(Exception):
    """A variable that the file requires is not set; the message is what Docker would say."""


@dataclass(frozen=True)
class Mount:
    """What a container sees at ``target``. ``source``: a folder or file of the project, the name
    of a volume, or None: a folder that lives and dies with the container. ``content``: of a file
    that the compose file itself holds."""

    target: str
    source: str | None = None
    named: bool = False
    content: str | None = None


@dataclass(frozen=True)
class Service:
    """One service. ``command`` includes the entry point, where the file names one."""

    name: str
    image: str
    target: str | None
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    depends_on: Mapping[str, str]
    healthcheck: tuple[str, ...] | None
    restarts: bool


def read_compose(file: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """The services by name.

    Raises:
        MissingVariable: a required one is unset or empty.
    """
    whole = _filled_in(yaml.safe_load(file.read_text()), variables)
    configs = whole.get("configs", {})
    volumes = whole.get("volumes", {})
    return {name: _service(name, one, volumes, configs) for name, one in whole["services"].items()}


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """``text`` with its variables replaced (https://docs.docker.com/reference/compose-file/interpolation/)."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["bare"] or match["name"]
        how, text = match["how"] or "", match["text"] or ""
        found = variables.get(name)
        there = bool(found) if how.startswith(":") else found is not None
        if how.endswith("?") and not there:
            raise MissingVariable(f"required variable {name} is missing a value: {text}")
        if how.endswith("-") and not there:
            return text
        if how.endswith("+"):
            return text if there else ""
        return found or ""

    return _VARIABLE.sub(value, text)


def _filled_in(part: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _filled_in(value, variables) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled_in(value, variables) for value in part]
    return interpolated(part, variables) if isinstance(part, str) else part


def _service(
    name: str, one: Mapping[str, Any], volumes: Mapping[str, Any], configs: Mapping[str, Any]
) -> Service:
    mounts = [_volume(text, volumes) for text in one.get("volumes", [])]
    mounts += [Mount(text.partition(":")[0]) for text in one.get("tmpfs", [])]
    mounts += [_config(config, configs) for config in one.get("configs", [])]
    check = one.get("healthcheck")
    return Service(
        name=name,
        image=one["image"],
        target=one.get("build", {}).get("target"),
        command=(*one.get("entrypoint", ()), *one.get("command", ())),
        environment={key: str(value) for key, value in one.get("environment", {}).items()},
        mounts=tuple(mounts),
        depends_on={other: how["condition"] for other, how in one.get("depends_on", {}).items()},
        healthcheck=None if check is None else _shell_form(check["test"]),
        restarts=one.get("restart") == "unless-stopped",
    )


def _volume(text: str, volumes: Mapping[str, Any]) -> Mount:
    source, _, rest = text.partition(":")
    if not rest:
        return Mount(target=source)
    target = rest.partition(":")[0]
    if source.startswith("."):
        return Mount(target, source)
    assert source in volumes, f"volume {source} is not declared"
    return Mount(target, source, named=True)


def _config(config: Mapping[str, str], configs: Mapping[str, Any]) -> Mount:
    declared = configs[config["source"]]
    return Mount(config["target"], declared.get("file"), content=declared.get("content"))


def _shell_form(test: list[str]) -> tuple[str, ...]:
    if test[0] == "CMD-SHELL":
        return ("sh", "-c", test[1])
    assert test[0] == "CMD"
    return tuple(test[1:])
