"""Open the checkout's DVC repository, choose its remote, and explain what DVC raises."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from moovier.errors import DataUnavailable, MoovierError
from moovier.settings import Settings

#: The longest wait for another process that holds DVC's lock; DVC itself gives up after 3 s.
LOCK_TIMEOUT_S = 120.0
#: Name of the remote that the setting `dvc_remote` names, in this process's configuration only.
NAMED = "moovier-dvc-remote"
#: Schemes of URLs that DVC opens without a plugin.
_BUILT_IN = frozenset({"", "file", "local", "remote"})
#: Names of errors of cloud libraries that mean a refused or missing login. The libraries are
#: optional, so their classes cannot be imported here.
_REFUSED = frozenset(
    {
        "AuthError",
        "AuthenticationException",
        "ClientAuthenticationError",
        "DefaultCredentialsError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "PermissionDenied",
        "RefreshError",
    }
)


@dataclass(frozen=True)
class Remote:
    """A remote of the repository. ``address``: its URL or absolute folder, for messages."""

    name: str
    address: str


@contextlib.contextmanager
def open_repo(settings: Settings) -> Iterator[Any]:
    """Open and lock the checkout's DVC repository.

    Raises:
        DataUnavailable: the checkout has no repository, or a library raised an error.
    """
    import tenacity
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
        except MoovierError:
            raise
        except Exception as error:  # each kind of remote raises its own errors
            raise unavailable("; ".join(errors) or reason(error), error) from error


def remote_of(repo: Any) -> Remote:
    """Return the remote to ask: the one of the setting, the default, or else the only one.

    Raises:
        DataUnavailable: there is no such remote, or DVC cannot open its URL.
    """
    remotes = repo.config["remote"]
    name = repo.config["core"].get("remote")
    known = ", ".join(sorted(remotes))
    if not remotes:
        raise _misconfigured("the checkout's .dvc/config has no remote: set MOOVIER_DVC_REMOTE")
    if name is None and len(remotes) > 1:
        raise _misconfigured(
            f"the checkout has the remotes {known} and no default: choose one with "
            "`dvc remote default NAME`, or set MOOVIER_DVC_REMOTE"
        )
    name = name or next(iter(remotes))
    if name.lower() not in remotes:
        raise _misconfigured(
            f"the checkout's default remote is {name!r}, but its remotes are {known}: change it "
            "with `dvc remote default NAME`, or set MOOVIER_DVC_REMOTE"
        )
    address = str(remotes[name.lower()]["url"])
    _check_plugin(address)
    return Remote(name.lower(), address)


def unavailable(message: str, error: BaseException) -> DataUnavailable:
    """Return the error for a library's ``error``; a refused login cannot get better by itself."""
    answer = DataUnavailable(message)
    answer.is_transient = not _is_refusal(error)
    return answer


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where the message is empty."""
    text = str(error).strip()
    if isinstance(error, KeyError) or not text:
        return f"{type(error).__name__} {text}".strip()
    return text.splitlines()[0]


def _is_refusal(error: BaseException) -> bool:
    """Return whether the error, or one that caused it, is a refused or missing login."""
    current: BaseException | None = error
    while current is not None:
        is_refused = type(current).__name__ in _REFUSED or isinstance(current, ImportError)
        if is_refused or isinstance(current, PermissionError):
            return True
        if getattr(current, "status", None) in (401, 403):
            return True
        current = current.__cause__ or current.__context__
    return False


def _misconfigured(message: str) -> DataUnavailable:
    """Return an error that lasts until a person changes the configuration."""
    error = DataUnavailable(message)
    error.is_transient = False
    return error


def _check_plugin(address: str) -> None:
    """Check that DVC has the plugin for a remote's URL.

    Raises:
        DataUnavailable: DVC knows no such scheme, or its plugin is not installed.
    """
    from dvc.fs import known_implementations

    scheme = urlsplit(address).scheme.lower() if "://" in address else ""
    if scheme in _BUILT_IN:
        return
    if scheme not in known_implementations:
        known = sorted({*known_implementations, "file"} - {"memory", "git", "dvc"})
        raise _misconfigured(
            f"the DVC remote {address} has the unknown scheme {scheme}://; give a folder or one of "
            f"{', '.join(known)}"
        )
    package = known_implementations[scheme]["class"].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        raise _misconfigured(
            f"the DVC remote {address} needs the package {name}, which is not installed: run "
            f"`pip install {name}` in Moovier's environment"
        )


def _config(settings: Settings) -> dict[str, Any]:
    """Return this process's changes to `.dvc/config`, which is not written.

    ``core.remote`` is set as well: DVC would ask the checkout's default remote otherwise.
    """
    # Nothing is committed here, and a copy of the project without Git must work too.
    core = {"no_scm": True, "site_cache_dir": str(settings.path("dvc"))}
    address = settings.dvc_remote_address
    if address is None:
        return {"core": core}
    # DVC itself would stop at an unknown scheme or a missing plugin without naming the package.
    _check_plugin(address)
    options = _options_of(settings, address, core)
    return {"core": core | {"remote": NAMED}, "remote": {NAMED: {**options, "url": address}}}


def _options_of(settings: Settings, address: str, core: dict[str, Any]) -> dict[str, Any]:
    """Return the options, such as the endpoint, of the checkout's remote with the same URL."""
    from dvc.config import Config

    config = Config(str(settings.project.absolute() / ".dvc"), config={"core": core})
    for remote in config["remote"].values():
        if str(remote["url"]).rstrip("/") == address.rstrip("/"):
            return dict(remote)
    return {}


@contextlib.contextmanager
def _errors_of_dvc() -> Iterator[list[str]]:
    """Collect the errors that DVC logs, since its exceptions often lack the reason."""
    errors: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            cause = record.exc_info[1] if record.exc_info else None
            text = record.getMessage()
            errors.append(text if cause is None else f"{text}: {reason(cause)}")

    collector = Collector(logging.ERROR)
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("dvc", "dvc_data", "dvc_objects")):
            stack.callback(setattr, logger, "handlers", logger.handlers)
            stack.callback(setattr, logger, "propagate", logger.propagate)
            stack.callback(logger.setLevel, logger.level)
            logger.handlers, logger.propagate = [collector], False
            logger.setLevel(logging.ERROR)
        yield errors
