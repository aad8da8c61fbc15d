"""The DVC side: the pointer that pins a data set, pulling what it names, keeping it in the remote.

The pointer ``data/<name>.dvc`` is committed; the bytes lie in ``data/<name>``, in DVC's cache and
in its remote. DVC itself trusts a remote's file names, so what arrives is hashed again here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataError, DataUnavailable, HashMismatch
from moovier.settings import Settings

#: Name of the remote in `.dvc/config` whose address the setting `dvc_remote` replaces.
REMOTE = "storage"
#: How long to wait for another process that holds DVC's lock; DVC alone gives up after 3 s.
LOCK_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Pointer:
    """A committed `.dvc` file: which bytes ``folder`` has to hold.

    ``hash``: DVC's directory hash, ``<md5>.dir``. ``size``: bytes of all files together.
    """

    name: str
    folder: Path
    hash: str
    size: int

    def is_met(self) -> bool:
        """Whether the folder holds exactly the bytes that the pointer names."""
        return self.folder.is_dir() and directory_hash(self.folder) == self.hash


def read_pointer(project: Path, name: str) -> Pointer:
    """The pointer ``data/<name>.dvc`` of a checkout.

    Raises:
        DataUnavailable: the project has none.
        DataError: it is not a pointer to one folder.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = project.absolute() / "data" / f"{name}.dvc"
    try:
        content: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        (out,) = content["outs"]
        folder, hash_, size = path.parent / out["path"], str(out["md5"]), int(out["size"])
    except OSError as error:
        raise DataUnavailable(
            f"{path} cannot be read ({error.strerror}): MOOVIER_PROJECT has to name the checkout"
        ) from error
    except (YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a DVC pointer to one folder: {error}") from error
    return Pointer(name, folder, hash_, size)


def remote_address(settings: Settings) -> str:
    """URL or absolute folder of the DVC remote in use."""
    with _repo(settings) as repo:
        return str(repo.config["remote"][REMOTE]["url"])


def pull(pointer: Pointer, settings: Settings) -> None:
    """Fill the pointer's folder from DVC's cache or remote.

    A folder that is there with other bytes is first moved to ``<home>/replaced``.

    Raises:
        DataUnavailable: the remote does not answer, or does not have it.
        HashMismatch: the remote has other bytes under this name; none of them is kept.
    """
    from dvc.exceptions import CheckoutError

    target = [str(pointer.folder)]
    with _repo(settings) as repo:
        address = repo.config["remote"][REMOTE]["url"]
        for _ in ("a damaged cache is forgotten", "and filled again from the remote"):
            repo.fetch(target)
            if pointer.folder.exists() and not pointer.is_met():
                _set_aside(pointer.folder, settings)
            try:
                repo.checkout(target, force=True)
            except CheckoutError as error:
                raise DataUnavailable(f"{address} does not have it") from error
            if pointer.is_met():
                return
            found = directory_hash(pointer.folder)
            _forget(pointer, repo)
    raise HashMismatch(
        f"{pointer.name} from the DVC remote {address} is damaged: its hash is {found}, "
        f"the pointer names {pointer.hash}. Nothing was kept. Repair the remote, or name another "
        "one in MOOVIER_DVC_REMOTE, then run `moovier data pull`"
    )


def commit(pointer: Pointer, downloaded: Path, settings: Settings) -> None:
    """Move ``downloaded``, whose hash is known to be right, into place and into DVC's cache."""
    with _repo(settings) as repo:
        if not pointer.is_met():
            if pointer.folder.exists():
                _set_aside(pointer.folder, settings)
            shutil.move(downloaded, pointer.folder)
        repo.commit(str(pointer.folder), force=True)


def push(pointer: Pointer, settings: Settings) -> None:
    """Copy the pointer's folder from DVC's cache to the remote.

    Raises:
        DataUnavailable: the remote does not take it.
    """
    with _repo(settings) as repo:
        repo.push([str(pointer.folder)])


def upload(folder: Path, hash_: str, settings: Settings) -> str:
    """Copy a folder that no pointer names into the DVC remote, under its directory hash.

    What the remote has already is not sent again. Returns the remote's address.

    Raises:
        DataUnavailable: there is no remote, or it does not take it.
        HashMismatch: the folder's bytes are not those that ``hash_`` names.
    """
    with _repo(settings) as repo:
        from dvc.fs import LocalFileSystem
        from dvc_data.hashfile.build import build
        from dvc_data.hashfile.transfer import transfer

        if REMOTE not in repo.config["remote"]:
            raise DataUnavailable(f".dvc/config names no remote {REMOTE!r}")
        address = str(repo.config["remote"][REMOTE]["url"])
        there = repo.cloud.get_remote_odb(REMOTE, "push")
        staged, _, tree = build(there, str(folder), LocalFileSystem(), "md5")
        if tree.hash_info.value != hash_:
            raise HashMismatch(f"{folder} has the hash {tree.hash_info.value}, not {hash_}")
        try:
            sent = transfer(staged, there, {tree.hash_info}, shallow=False)
        except Exception as error:  # each kind of remote has errors of its own
            raise DataUnavailable(f"{address}: {error}".splitlines()[0]) from error
        if sent.failed:
            raise DataUnavailable(f"{address} did not take {len(sent.failed)} files")
        return address


def download(hash_: str, folder: Path, settings: Settings) -> None:
    """Bring a folder that :func:`upload`, or a push, kept in the DVC remote; whole or not at all.

    Raises:
        DataUnavailable: there is no remote, or it does not have it.
        HashMismatch: the remote has other bytes under this hash.
    """
    with _repo(settings) as repo:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        if REMOTE not in repo.config["remote"]:
            raise DataUnavailable(f".dvc/config names no remote {REMOTE!r}")
        address = str(repo.config["remote"][REMOTE]["url"])
        there = repo.cloud.get_remote_odb(REMOTE, "pull")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "data"
            try:
                for key, _, file in Tree.load(there, HashInfo("md5", hash_)):
                    target = fresh.joinpath(*key)
                    if ".." in key or not target.is_relative_to(fresh):
                        raise HashMismatch(f"{address} lists {'/'.join(key)!r} under {hash_}")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    there.fs.get(there.oid_to_path(file.value), str(target))
            except HashMismatch:
                raise
            except Exception as error:  # each kind of remote has errors of its own
                reason = f"{error}".splitlines()[0] if str(error) else type(error).__name__
                raise DataUnavailable(f"{address} does not have {hash_}: {reason}") from error
            if directory_hash(fresh) != hash_:
                raise HashMismatch(f"what {address} has under {hash_} is damaged")
            with contextlib.suppress(FileNotFoundError):
                folder.rename(Path(scratch) / "before")
            try:
                fresh.rename(folder)
            except OSError:
                # Another process was quicker, with the same bytes.
                if not (folder.is_dir() and directory_hash(folder) == hash_):
                    raise


@contextlib.contextmanager
def _repo(settings: Settings) -> Iterator[Any]:
    """The checkout's DVC repository, locked; DVC's errors come out as ours."""
    import tenacity
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    project = settings.project.absolute()
    if not (project / ".dvc").is_dir():
        raise DataUnavailable(
            f"{project} has no DVC repository: MOOVIER_PROJECT has to name the checkout"
        )
    patiently = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(LockError),
        stop=tenacity.stop_after_delay(LOCK_PATIENCE_S),
        reraise=True,
    )
    with _errors_of_dvc() as errors, contextlib.ExitStack() as stack:
        try:
            repo = stack.enter_context(Repo(str(project), config=_config(settings)))
            # A context manager serves once, so that each try needs its own.
            patiently(lambda: stack.enter_context(lock_repo(repo)))
            yield repo
        except (DvcException, OSError) as error:
            raise DataUnavailable("; ".join(errors) or str(error).splitlines()[0]) from error


def _config(settings: Settings) -> dict[str, Any]:
    """What this process changes in `.dvc/config`, without writing to it."""
    config: dict[str, Any] = {
        # No commit is made here, and a copy of the project without Git has to work too.
        "core": {"no_scm": True, "site_cache_dir": str(settings.path("dvc"))}
    }
    if settings.dvc_remote:
        config["remote"] = {REMOTE: {"url": settings.dvc_remote_address}}
    return config


@contextlib.contextmanager
def _errors_of_dvc() -> Iterator[list[str]]:
    """What DVC logs as errors while it runs, which is where it hides the reasons."""
    errors: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(record.getMessage())

    listener = Listener(logging.ERROR)
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("dvc", "dvc_data", "dvc_objects")):
            stack.callback(setattr, logger, "handlers", logger.handlers)
            stack.callback(setattr, logger, "propagate", logger.propagate)
            stack.callback(logger.setLevel, logger.level)
            logger.handlers, logger.propagate = [listener], False
            logger.setLevel(logging.ERROR)
        yield errors


def _set_aside(folder: Path, settings: Settings) -> None:
    """Move away a folder that somebody may have edited: replacing it loses nothing."""
    place = settings.path("replaced", f"{folder.name}-{directory_hash(folder)[:8]}")
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        shutil.rmtree(folder)
    else:
        shutil.move(folder, place)


def _forget(pointer: Pointer, repo: Any) -> None:
    """Delete the folder and those of its files in DVC's cache whose bytes belie their names."""
    shutil.rmtree(pointer.folder, ignore_errors=True)
    cache = repo.cache.local
    index = Path(cache.oid_to_path(pointer.hash))
    # An index that is itself damaged may list anything, or nothing.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        for entry in json.loads(index.read_text(encoding="utf-8")):
            _delete_if_damaged(Path(cache.oid_to_path(entry["md5"])), entry["md5"])
    _delete_if_damaged(index, pointer.hash.removesuffix(".dir"))
    # DVC also remembers what the index listed.
    repo.drop_data_index()


def _delete_if_damaged(path: Path, md5: str) -> None:
    if not path.is_file():
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    if digest.hexdigest() != md5:
        path.unlink()
