"""Read DVC pointers, and exchange data sets with the DVC remote.

The pointer ``data/<name>.dvc`` is committed to Git. The bytes are in ``data/<name>``, in DVC's
cache and in its remote. DVC trusts the file names of a remote, so this module hashes the files
again.
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

#: Name of the remote in `.dvc/config`; the setting `dvc_remote` replaces its address.
REMOTE = "storage"
#: The longest wait for another process that holds DVC's lock; DVC itself gives up after 3 s.
LOCK_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Pointer:
    """A committed `.dvc` file, which names the content of ``folder``.

    ``hash``: DVC's directory hash, ``<md5>.dir``. ``size``: total size of the files in bytes.
    """

    name: str
    folder: Path
    hash: str
    size: int

    def is_met(self) -> bool:
        """Return whether the folder holds exactly the bytes that the pointer names."""
        return self.folder.is_dir() and directory_hash(self.folder) == self.hash


def read_pointer(project: Path, name: str) -> Pointer:
    """Read the pointer ``data/<name>.dvc`` of a checkout.

    Raises:
        DataUnavailable: the pointer does not exist.
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
            f"{path} cannot be read ({error.strerror}): set MOOVIER_PROJECT to the checkout"
        ) from error
    except (YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a DVC pointer to one folder: {error}") from error
    return Pointer(name, folder, hash_, size)


def pull(pointer: Pointer, settings: Settings) -> None:
    """Fill the pointer's folder from DVC's cache or remote.

    An existing folder with other bytes is first moved to ``<home>/replaced``.

    Raises:
        DataUnavailable: the remote does not answer, or does not have the data set.
        HashMismatch: the remote has other bytes under this hash; they are deleted here.
    """
    from dvc.exceptions import CheckoutError

    target = [str(pointer.folder)]
    with _repo(settings) as repo:
        address = _remote_address(repo)
        # The second try fills a damaged cache, which the first one deletes, from the remote.
        for _ in range(2):
            repo.fetch(target)
            if pointer.folder.exists() and not pointer.is_met():
                _set_aside(pointer.folder, settings)
            try:
                repo.checkout(target, force=True)
            except CheckoutError as error:
                raise DataUnavailable(f"{address} does not have {pointer.name}") from error
            if pointer.is_met():
                return
            actual_hash = directory_hash(pointer.folder)
            _delete_damaged(pointer, repo)
    raise HashMismatch(
        f"{pointer.name} in the DVC remote {address} is damaged: its hash is {actual_hash}, but "
        f"the pointer names {pointer.hash}. Nothing was stored. Repair the remote, or set "
        "MOOVIER_DVC_REMOTE to another one, then run `moovier data pull`"
    )


def commit(pointer: Pointer, downloaded: Path, settings: Settings) -> None:
    """Move ``downloaded``, whose hash is verified, to the pointer's folder and DVC's cache."""
    with _repo(settings) as repo:
        if not pointer.is_met():
            if pointer.folder.exists():
                _set_aside(pointer.folder, settings)
            shutil.move(downloaded, pointer.folder)
        repo.commit(str(pointer.folder), force=True)


def push(pointer: Pointer, settings: Settings) -> None:
    """Copy the pointer's folder from DVC's cache to the remote.

    Raises:
        DataUnavailable: the remote does not accept it.
    """
    with _repo(settings) as repo:
        repo.push([str(pointer.folder)])


def upload(folder: Path, hash_: str, settings: Settings) -> str:
    """Copy a folder without a pointer to the DVC remote and return the remote's address.

    The remote stores it under its directory hash. Files that it has already are not sent again.

    Raises:
        DataUnavailable: no remote is configured, or it does not accept the folder.
        HashMismatch: the folder's hash is not ``hash_``.
    """
    with _repo(settings) as repo:
        from dvc.fs import LocalFileSystem
        from dvc_data.hashfile.build import build
        from dvc_data.hashfile.transfer import transfer

        address = _remote_address(repo)
        remote = repo.cloud.get_remote_odb(REMOTE, "push")
        staged, _, tree = build(remote, str(folder), LocalFileSystem(), "md5")
        if tree.hash_info.value != hash_:
            raise HashMismatch(f"{folder} has the hash {tree.hash_info.value}, not {hash_}")
        try:
            result = transfer(staged, remote, {tree.hash_info}, shallow=False)
        except Exception as error:  # each kind of remote raises its own errors
            raise DataUnavailable(f"{address}: {error}".splitlines()[0]) from error
        if result.failed:
            raise DataUnavailable(f"{address} did not accept {len(result.failed)} files")
        return address


def download(hash_: str, folder: Path, settings: Settings) -> None:
    """Download a folder that :func:`upload` or :func:`push` stored, as a whole or not at all.

    Raises:
        DataUnavailable: no remote is configured, or it does not have the folder.
        HashMismatch: the remote has other bytes under this hash.
    """
    with _repo(settings) as repo:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        address = _remote_address(repo)
        remote = repo.cloud.get_remote_odb(REMOTE, "pull")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            downloaded = Path(scratch) / "data"
            try:
                for key, _, file in Tree.load(remote, HashInfo("md5", hash_)):
                    target = downloaded.joinpath(*key)
                    if ".." in key or not target.is_relative_to(downloaded):
                        raise HashMismatch(
                            f"{address} lists {'/'.join(key)!r}, outside the folder, under {hash_}"
                        )
                    target.parent.mkdir(parents=True, exist_ok=True)
                    remote.fs.get(remote.oid_to_path(file.value), str(target))
            except HashMismatch:
                raise
            except Exception as error:  # each kind of remote raises its own errors
                reason = f"{error}".splitlines()[0] if str(error) else type(error).__name__
                raise DataUnavailable(f"{address} does not have {hash_}: {reason}") from error
            if directory_hash(downloaded) != hash_:
                raise HashMismatch(f"the folder {hash_} in {address} is damaged")
            with contextlib.suppress(FileNotFoundError):
                folder.rename(Path(scratch) / "before")
            try:
                downloaded.rename(folder)
            except OSError:
                # Another process may have been faster, with the same bytes.
                if not (folder.is_dir() and directory_hash(folder) == hash_):
                    raise


@contextlib.contextmanager
def _repo(settings: Settings) -> Iterator[Any]:
    """Open and lock the checkout's DVC repository.

    Raises:
        DataUnavailable: the checkout has no repository, or DVC raised an error.
    """
    import tenacity
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    project = settings.project.absolute()
    if not (project / ".dvc").is_dir():
        raise DataUnavailable(
            f"{project} has no DVC repository: set MOOVIER_PROJECT to the checkout"
        )
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(LockError),
        stop=tenacity.stop_after_delay(LOCK_TIMEOUT_S),
        reraise=True,
    )
    with _errors_of_dvc() as errors, contextlib.ExitStack() as stack:
        try:
            repo = stack.enter_context(Repo(str(project), config=_config(settings)))
            # A context manager can be entered only once, so each try needs a new one.
            retrying(lambda: stack.enter_context(lock_repo(repo)))
            yield repo
        except (DvcException, OSError) as error:
            raise DataUnavailable("; ".join(errors) or str(error).splitlines()[0]) from error


def _remote_address(repo: Any) -> str:
    """Return the URL or absolute folder of the DVC remote.

    Raises:
        DataUnavailable: no remote is configured.
    """
    if REMOTE not in repo.config["remote"]:
        raise DataUnavailable(f".dvc/config names no remote {REMOTE!r}; set MOOVIER_DVC_REMOTE")
    return str(repo.config["remote"][REMOTE]["url"])


def _config(settings: Settings) -> dict[str, Any]:
    """Return this process's changes to `.dvc/config`, which is not written."""
    config: dict[str, Any] = {
        # Nothing is committed here, and a copy of the project without Git must work too.
        "core": {"no_scm": True, "site_cache_dir": str(settings.path("dvc"))}
    }
    if settings.dvc_remote:
        config["remote"] = {REMOTE: {"url": settings.dvc_remote_address}}
    return config


@contextlib.contextmanager
def _errors_of_dvc() -> Iterator[list[str]]:
    """Collect the errors that DVC logs, since its exceptions often lack the reason."""
    errors: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(record.getMessage())

    collector = Collector(logging.ERROR)
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("dvc", "dvc_data", "dvc_objects")):
            stack.callback(setattr, logger, "handlers", logger.handlers)
            stack.callback(setattr, logger, "propagate", logger.propagate)
            stack.callback(logger.setLevel, logger.level)
            logger.handlers, logger.propagate = [collector], False
            logger.setLevel(logging.ERROR)
        yield errors


def _set_aside(folder: Path, settings: Settings) -> None:
    """Move a folder that a user may have edited to ``<home>/replaced``."""
    target = settings.path("replaced", f"{folder.name}-{directory_hash(folder)[:8]}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(folder)
    else:
        shutil.move(folder, target)


def _delete_damaged(pointer: Pointer, repo: Any) -> None:
    """Delete the folder, and its files in DVC's cache whose bytes do not match their names."""
    shutil.rmtree(pointer.folder, ignore_errors=True)
    cache = repo.cache.local
    index = Path(cache.oid_to_path(pointer.hash))
    # A damaged index may contain anything.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        for entry in json.loads(index.read_text(encoding="utf-8")):
            _delete_if_damaged(Path(cache.oid_to_path(entry["md5"])), entry["md5"])
    _delete_if_damaged(index, pointer.hash.removesuffix(".dir"))
    # DVC also stores the content of the index elsewhere.
    repo.drop_data_index()


def _delete_if_damaged(path: Path, md5: str) -> None:
    if not path.is_file():
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    if digest.hexdigest() != md5:
        path.unlink()
