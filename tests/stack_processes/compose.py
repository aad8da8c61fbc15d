"""A reader of docker-compose.yaml: variables, anchors, merged mappings and short forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<bare>[A-Za-z_]\w*)|"
    r"\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<text>[^}]*))?\})"
)


class MissingVariable(Exception):
    """A variable that the file requires is not set. The message is Docker's."""


@dataclass(frozen=True)
class Mount:
    """What a container sees at the path ``target``.

    ``source``: a folder or file of the project, or the name of a volume (``named``); None for a
    temporary folder. ``content``: the text of a file that the compose file itself holds.
    """

    target: str
    source: str | None = None
    named: bool = False
    content: str | None = None


@dataclass(frozen=True)
class Service:
    """A service of the file. ``command`` starts with the entry point, if the file has entry."""

    name: str
    image: str
    target: str | None
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    depends_on: Mapping[str, str]
    healthcheck: tuple[str, ...] | None
    restarts: bool


def read_compose(
    file: Path, variables: Mapping[str, str], profiles: Set[str] = frozenset()
) -> dict[str, Service]:
    """Return the services by name: those without a profile, and those of ``profiles``.

    Raises:
        MissingVariable: A required variable is unset or empty.
    """
    content = _filled_in(yaml.safe_load(file.read_text()), variables)
    configs = content.get("configs", {})
    volumes = content.get("volumes", {})
    return {
        name: _service(name, entry, volumes, configs)
        for name, entry in content["services"].items()
        if not entry.get("profiles") or profiles & set(entry["profiles"])
    }


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Replace the variables in ``text``.

    Source: https://docs.docker.com/reference/compose-file/interpolation/
    """

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["bare"] or match["name"]
        how, text = match["how"] or "", match["text"] or ""
        current = variables.get(name)
        is_set = bool(current) if how.startswith(":") else current is not None
        if how.endswith("?") and not is_set:
            raise MissingVariable(f"required variable {name} is missing a value: {text}")
        if how.endswith("-") and not is_set:
            return text
        if how.endswith("+"):
            return text if is_set else ""
        return current or ""

    return _VARIABLE.sub(value, text)


def _filled_in(part: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _filled_in(value, variables) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled_in(value, variables) for value in part]
    return interpolated(part, variables) if isinstance(part, str) else part


def _service(
    name: str, entry: Mapping[str, Any], volumes: Mapping[str, Any], configs: Mapping[str, Any]
) -> Service:
    mounts = [_volume(text, volumes) for text in entry.get("volumes", [])]
    mounts += [Mount(text.partition(":")[0]) for text in entry.get("tmpfs", [])]
    mounts += [_config(config, configs) for config in entry.get("configs", [])]
    check = entry.get("healthcheck")
    return Service(
        name=name,
        image=entry["image"],
        target=entry.get("build", {}).get("target"),
        command=(*entry.get("entrypoint", ()), *entry.get("command", ())),
        environment={key: str(value) for key, value in entry.get("environment", {}).items()},
        mounts=tuple(mounts),
        depends_on={other: how["condition"] for other, how in entry.get("depends_on", {}).items()},
        healthcheck=None if check is None else _shell_form(check["test"]),
        restarts=entry.get("restart") == "unless-stopped",
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
