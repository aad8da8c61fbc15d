"""The local address, folders and rewritten files that replace those of a container."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack_processes.compose import Mount, Service

ROOT = Path(__file__).parents[2]
WORKDIR = "/opt/moovier"
#: Addresses that mean the container itself or all of its interfaces.
_ITSELF = r"(?:0\.0\.0\.0|127\.0\.0\.1|localhost)"


@dataclass
class ContainerPaths:
    """The local stand-ins for a container's names, addresses and paths.

    ``addresses``: those of all services by name. ``folder``: the container's own.
    """

    service: Service
    address: str
    addresses: Mapping[str, str]
    folder: Path
    volumes: Path
    _paths: dict[str, Path] = field(default_factory=dict)

    def create(self) -> None:
        """Create the folders and write the files that the container would see."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.service.target is not None:
            self._paths[WORKDIR] = _image_content(self.service.target, self.folder / "project")
        for mount in self.service.mounts:
            self._paths[mount.target] = self._local_path(mount)
        # After all folders exist, because a file may name any of them.
        for mount in self.service.mounts:
            self._fill(mount)

    def translate(self, text: str) -> str:
        """Replace the container's names, addresses and paths in ``text`` by the local ones."""
        return self._pattern.sub(self._replacement, text)

    def path(self, target: str) -> Path:
        """Return the local path of the mount at ``target``."""
        return self._paths[target]

    @property
    def workdir(self) -> Path:
        """The local folder that replaces the container's working directory."""
        return self._paths.get(WORKDIR, self.folder)

    @property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(map(re.escape, sorted(self.addresses, key=len, reverse=True)))
        paths = "|".join(map(re.escape, sorted(self._paths, key=len, reverse=True)))
        # A name is a host before a port, or after // or @ in an address, but not as a user name.
        return re.compile(
            rf"(?P<path>(?<![\w.-])(?:{paths or '(?!)'})(?![\w.-]))"
            rf"|(?<![\w.-])(?P<itself>{_ITSELF})(?![\w.-])"
            rf"|(?<![\w./@-])(?P<named>{names})(?=:(?:\d|\*))"
            rf"|(?:(?<=//)|(?<=@))(?P<host>{names})(?=[:/]|$)(?![^/\s]*@)"
        )

    def _replacement(self, match: re.Match[str]) -> str:
        if match["path"]:
            return str(self._paths[match["path"]])
        if match["itself"]:
            return self.address
        return self.addresses[match["named"] or match["host"]]

    def _local_path(self, mount: Mount) -> Path:
        if mount.named:
            folder = self.volumes / str(mount.source)
        elif mount.source is None and mount.content is None:
            folder = self.folder / "tmp" / mount.target.strip("/").replace("/", "-")
        else:
            return self.folder / "files" / mount.target.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _fill(self, mount: Mount) -> None:
        path = self._paths[mount.target]
        if mount.content is not None:
            self._write(path, mount.content)
        elif mount.source is not None and not mount.named:
            source = ROOT / mount.source
            files = [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]
            for file in files:
                self._write(path / file.relative_to(source), file.read_text())

    def _write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.translate(text))


def _image_content(target: str, folder: Path) -> Path:
    """Link what the Dockerfile copies into the image ``target`` into ``folder``.

    The data pointers are copied, since DVC writes the data beside them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in copied_into(target):
        copy = folder / source
        # The built page exists only where somebody has run `make web`.
        if copy.exists() or not (ROOT / source).exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source in ("data", ".dvc"):
            copy.mkdir()
            for file in (*(ROOT / source).glob("*.dvc"), *(ROOT / source).glob("config")):
                shutil.copy(file, copy)
        else:
            copy.symlink_to(ROOT / source)
    return folder


def copied_into(target: str) -> list[str]:
    """Return what the stage ``target`` of the Dockerfile and its base stages copy from the project.

    For a copy from another stage, the path in the image is returned.
    """
    stages: dict[str, list[str]] = {}
    for text in re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]:
        header = re.match(r"(\S+) AS (\w+)", text)
        assert header is not None, f"a stage has no name: {text[:80]}"
        base, name = header.groups()
        copies = [line.split()[1:] for line in re.findall(r"^COPY .*$", text, re.MULTILINE)]
        words = [line[-1:] if line[0].startswith("--from=") else line[:-1] for line in copies]
        stages[name] = [*stages.get(base, []), *(word for line in words for word in line)]
    return stages[target]
