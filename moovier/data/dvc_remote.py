"""Read DVC pointers, and exchange data sets with the DVC remote.

The pointer ``data/<name>.dvc`` is committed to Git. The bytes are in ``data/<name>``, in DVC's
cache and in its remote. DVC trusts the file names of a remote, so this module hashes the files
again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_repo import Remote, open_repo, reason, remote_of, unavailable
from moovier.errors import DataError, DataUnavailable, HashMismatch
from moovier.settings import Settings


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


def write_pointer(project: Path, name: str, hash_: str) -> Path:
    """Write the pointer ``data/<name>.dvc`` to the data set ``hash_``, and return its path."""
    path = project.absolute() / "data" / f"{name}.dvc"
    path.write_text(f'outs:\n- md5: {hash_}\n  hash: md5\n  path: "{name}"\n', encoding="utf-8")
    return path


def pull(pointer: Pointer, settings: Settings) -> None:
    """Fill the pointer's folder from DVC's cache or remote.

    An existing folder with other bytes is first moved to ``<home>/replaced``.

    Raises:
        DataUnavailable: the remote does not answer, or does not have the data set.
        HashMismatch: the remote has other bytes under this hash; they are deleted here.
    """
    from dvc.exceptions import CheckoutError, DownloadError

    target = [str(pointer.folder)]
    with open_repo(settings) as repo:
        remote = remote_of(repo)
        # The second try fills a damaged cache, which the first one deletes, from the remote.
        for _ in range(2):
            try:
                repo.fetch(target, remote=remote.name)
                if pointer.folder.exists() and not pointer.is_met():
                    _set_aside(pointer.folder, settings)
                repo.checkout(target, force=True)
            except (CheckoutError, DownloadError) as error:
                odb = repo.cloud.get_remote_odb(remote.name, "pull")
                raise _absent(odb, remote, pointer.hash, pointer.name) from error
            if pointer.is_met():
                return
            actual_hash = directory_hash(pointer.folder)
            _delete_damaged(pointer, repo)
    raise HashMismatch(
        f"{pointer.name} in the DVC remote {remote.address} is damaged: its hash is "
        f"{actual_hash}, but the pointer names {pointer.hash}. Nothing was stored. Repair the "
        "remote, or set MOOVIER_DVC_REMOTE to another one, then run `moovier data pull`"
    )


def commit(pointer: Pointer, downloaded: Path, settings: Settings) -> None:
    """Move ``downloaded``, whose hash is verified, to the pointer's folder and DVC's cache."""
    with open_repo(settings) as repo:
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
    with open_repo(settings) as repo:
        repo.push([str(pointer.folder)], remote=remote_of(repo).name)


def upload(folder: Path, hash_: str, settings: Settings) -> str:
    """Copy a folder without a pointer to the DVC remote and return the remote's address.

    The remote stores it under its directory hash. Files that it has already are not sent again.

    Raises:
        DataUnavailable: no remote is configured, or it does not accept the folder.
        HashMismatch: the folder's hash is not ``hash_``.
    """
    with open_repo(settings) as repo:
        from dvc.fs import LocalFileSystem
        from dvc_data.hashfile.build import build
        from dvc_data.hashfile.transfer import transfer

        remote = remote_of(repo)
        odb = repo.cloud.get_remote_odb(remote.name, "push")
        staged, _, tree = build(odb, str(folder), LocalFileSystem(), "md5")
        if tree.hash_info.value != hash_:
            raise HashMismatch(
                f"{folder} has the hash {tree.hash_info.value}, not {hash_}: it was changed; "
                "fetch the data set again"
            )
        try:
            result = transfer(staged, odb, {tree.hash_info}, shallow=False)
        except Exception as error:  # each kind of remote raises its own errors
            raise unavailable(f"{remote.address}: {reason(error)}", error) from error
        if result.failed:
            raise DataUnavailable(
                f"{remote.address} did not accept {len(result.failed)} files; check its free space "
                "and permissions"
            )
        return remote.address


def download(hash_: str, folder: Path, settings: Settings) -> None:
    """Download a folder that :func:`upload` or :func:`push` stored, as a whole or not at all.

    Raises:
        DataUnavailable: no remote is configured, or it does not have the folder.
        HashMismatch: the remote has other bytes under this hash.
    """
    with open_repo(settings) as repo:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        remote = remote_of(repo)
        odb = repo.cloud.get_remote_odb(remote.name, "pull")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            downloaded = Path(scratch) / "data"
            try:
                for key, _, file in Tree.load(odb, HashInfo("md5", hash_)):
                    target = downloaded.joinpath(*key)
                    if ".." in key or not target.is_relative_to(downloaded):
                        raise HashMismatch(
                            f"{remote.address} lists {'/'.join(key)!r}, outside the folder, under "
                            f"{hash_}"
                        )
                    target.parent.mkdir(parents=True, exist_ok=True)
                    odb.fs.get(odb.oid_to_path(file.value), str(target))
            except HashMismatch:
                raise
            except Exception as error:  # each kind of remote raises its own errors
                raise _absent(odb, remote, hash_, hash_) from error
            if directory_hash(downloaded) != hash_:
                raise HashMismatch(
                    f"the folder {hash_} in {remote.address} is damaged: repair the remote, or set "
                    "MOOVIER_DVC_REMOTE to another one"
                )
            with contextlib.suppress(FileNotFoundError):
                folder.rename(Path(scratch) / "before")
            try:
                downloaded.rename(folder)
            except OSError:
                # Another process may have been faster, with the same bytes.
                if not (folder.is_dir() and directory_hash(folder) == hash_):
                    raise


def _absent(odb: Any, remote: Remote, hash_: str, name: str) -> DataUnavailable:
    """Return why a folder cannot be read from the remote, as the remote itself answers.

    ``hash_``: the folder's directory hash. ``name``: what messages call it.
    """
    try:
        # The folder's list of files, some kilobytes. DVC takes many errors for an absent file.
        odb.fs.cat_file(odb.oid_to_path(hash_))
    except FileNotFoundError as error:
        root = Path(remote.address)
        if odb.fs.protocol == "local" and not root.is_dir():
            return DataUnavailable(f"{root} does not have {name}: the folder does not exist")
        if "bucket does not exist" in str(error):
            return DataUnavailable(f"{remote.address}: {reason(error)}")
        return DataUnavailable(f"{remote.address} does not have {name}")
    except Exception as error:  # each kind of remote raises its own errors
        return unavailable(f"{remote.address} cannot be read: {reason(error)}", error)
    return DataUnavailable(f"files of {name} are missing or altered in {remote.address}")


def _set_aside(folder: Path, settings: Settings) -> None:
    """Move a folder that a user may have edited to ``<home>/replaced``."""
    target = settings.path("replaced", f"{folder.name}-{directory_hash(folder)}")
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
