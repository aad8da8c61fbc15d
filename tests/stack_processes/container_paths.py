"""What stands for one container here: its address, its folders, and its files rewritten."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack_processes.compose import Mount, Service

ROOT = Path(__file__).parents[2]
WORKDIR = "/opt/moovier"
#: Addresses that mean the container itself, or all of its interfaces.
_ITSELF = r"(?:0\.0\.0\.0|127\.0\.0\.1|localhost)"


@dataclass
class Place:
    """``addresses``: of all services by name. ``folder`` is this container's own."""

    service: Service
    address: str
    addresses: Mapping[str, str]
    folder: Path
    volumes: Path
    _paths: dict[str, Path] = field(default_factory=dict)

    def furnish(self) -> None:
        """Make the folders and write the files that the container would see."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.service.target is not None:
            self._paths[WORKDIR] = _image_content(self.service.target, self.folder / "project")
        for mount in self.service.mounts:
            self._paths[mount.target] = self._place_of(mount)
        # Only now: a file may name any of the folders.
        for mount in self.service.mounts:
            self._fill(mount)

    def here(self, text: str) -> str:
        """``text`` with names, addresses and paths of this container's replaced by those here."""
        return self._pattern.sub(self._replacement, text)

    def path(self, target: str) -> Path:
        """Where the mount at ``target`` is."""
        return self._paths[target]

    @property
    def workdir(self) -> Path:
        return self._paths.get(WORKDIR, self.folder)

    @property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(map(re.escape, sorted(self.addresses, key=len, reverse=True)))
        paths = "|".join(map(re.escape, sorted(self._paths, key=len, reverse=True)))
        # A name is a host where a port follows, or after // or @ in an address; not a user's.
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

    def _place_of(self, mount: Mount) -> Path:
        if mount.named:
            place = self.volumes / str(mount.source)
        elif mount.source is None and mount.content is None:
            place = self.folder / "tmp" / mount.target.strip("/").replace("/", "-")
        else:
            return self.folder / "files" / mount.target.strip("/")
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _fill(self, mount: Mount) -> None:
        place = self._paths[mount.target]
        if mount.content is not None:
            self._write(place, mount.content)
        elif mount.source is not None and not mount.named:
            source = ROOT / mount.source
            files = [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]
            for file in files:
                self._write(place / file.relative_to(source), file.read_text())

    def _write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text))


def _image_content(target: str, folder: Path) -> Path:
    """What the Dockerfile copies into the image ``target``, as links; the data pointers, which DVC
    writes beside, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in copied_into(target):
        there = folder / source
        # The page's stage makes what it makes here, too, where somebody had it made.
        if there.exists() or not (ROOT / source).exists():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        if source in ("data", ".dvc"):
            kept = (*(ROOT / source).glob("*.dvc"), *(ROOT / source).glob("config"))
            there.mkdir()
            for file in kept:
                shutil.copy(file, there)
        else:
            there.symlink_to(ROOT / source)
    return folder


def copied_into(target: str) -> list[str]:
    """What the stage ``target`` of the Dockerfile, and those that it builds on, copy from the
    project's folder, and where another stage's work would lie in it."""
    stages = {}
    for text in re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]:
        base, name = re.match(r"(\S+) AS (\w+)", text).groups()  # type: ignore[union-attr]
        copies = [line.split()[1:] for line in re.findall(r"^COPY .*$", text, re.MULTILINE)]
        words = [one[-1:] if one[0].startswith("--from=") else one[:-1] for one in copies]
        stages[name] = [*stages.get(base, []), *(word for line in words for word in line)]
    return stages[target]
