"""A client of MLflow's REST API over requests, with time-outs and mapped errors.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import requests

from moovier.errors import RegistryError, RegistryUnavailable

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts"
#: The environment variables with the login that MLflow's own client reads.
USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHUNK = 1 << 20


class NotFound(RegistryError):
    """MLflow has no such resource."""


class Rest:
    """The REST API of one MLflow server. Threads may share it."""

    def __init__(self, tracking_uri: str, timeout_s: float) -> None:
        """Create a client; nothing is sent yet.

        Raises:
            RegistryError: ``tracking_uri`` is not an http(s) address.
        """
        url = _address(tracking_uri)
        #: Without user and password, for messages.
        host = url.netloc.rpartition("@")[2]
        self.address = f"{url.scheme}://{host}{url.path.rstrip('/')}"
        self._timeout_s = timeout_s
        self._http = requests.Session()
        self._http.auth = _login(url)
        # Do not send requests to this machine through a proxy of the environment.
        self._http.trust_env = url.hostname not in _LOOPBACK

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """Send a GET request to a path below the API's root."""
        return self._call("GET", API + path, params=params)

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a POST, PATCH or DELETE request with a JSON body."""
        return self._call(method, API + path, json=dict(body))

    def ping(self) -> None:
        """Check that the API answers.

        Raises:
            RegistryUnavailable: the server does not answer.
        """
        # /health succeeds even when the API refuses the host name.
        self._call("GET", f"{API}/experiments/get", params={"experiment_id": "0"})

    def download(self, artifact_uri: str, file: str, to: Path) -> Path:
        """Download one artefact of a proxied store to ``to``.

        Raises:
            NotFound: the store has no such file.
            RegistryError: the server does not proxy the store, or refused the request.
        """
        path = self._artifact_path(artifact_uri, file)
        try:
            with self._request("GET", path, stream=True) as answer:
                if not answer.ok:
                    self._raise_for(answer)
                with to.open("wb") as target:
                    for chunk in answer.iter_content(_CHUNK):
                        target.write(chunk)
        except requests.RequestException as error:
            raise self._unavailable(error) from error
        return to

    def upload(self, artifact_uri: str, file: str, source: Path) -> None:
        """Upload ``source`` to a proxied store as the artefact ``file``.

        Raises:
            RegistryError: the server does not proxy the store, or refused the request.
        """
        path = self._artifact_path(artifact_uri, file)
        try:
            with source.open("rb") as content:
                answer = self._request("PUT", path, data=content)
        except requests.RequestException as error:
            raise self._unavailable(error) from error
        if not answer.ok:
            self._raise_for(answer)

    def delete(self, artifact_uri: str, file: str) -> None:
        """Delete an artefact of a proxied store, if it exists.

        Raises:
            RegistryError: the server does not proxy the store, or refused the request.
        """
        with contextlib.suppress(NotFound):
            self._call("DELETE", self._artifact_path(artifact_uri, file))

    def _artifact_path(self, artifact_uri: str, file: str) -> str:
        url = urlsplit(artifact_uri)
        if url.scheme != PROXIED:
            raise RegistryError(
                f"the artefacts are at {url.scheme}://…, which only the MLflow server can read; "
                "run `mlflow server` with --serve-artifacts and --artifacts-destination"
            )
        parts = (*PurePosixPath(unquote(url.path).lstrip("/")).parts, *PurePosixPath(file).parts)
        if ".." in parts:
            raise RegistryError(f"artefact path {file!r} leaves its folder")
        return f"{ARTIFACTS}/{'/'.join(quote(part, safe='') for part in parts)}"

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer = self._request(method, path, **arguments)
        except requests.RequestException as error:
            raise self._unavailable(error) from error
        if not answer.ok:
            self._raise_for(answer)
        try:
            value = answer.json()
        except ValueError as error:
            raise self._foreign() from error
        if not isinstance(value, dict):
            raise self._foreign()
        return value

    def _request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        # MLflow's API does not redirect; a login page that a proxy redirects to is not MLflow.
        return self._http.request(
            method,
            self.address + path,
            timeout=self._timeout_s,
            allow_redirects=False,
            **arguments,
        )

    def _raise_for(self, answer: requests.Response) -> None:
        try:
            body = answer.json()
            code, message = body["error_code"], body["message"]
        except (ValueError, KeyError, TypeError):
            code, message = "", answer.text.strip()[:200]
        if code == "RESOURCE_DOES_NOT_EXIST" or (answer.status_code == 404 and code):
            raise NotFound(message)
        if answer.status_code == 401:
            raise RegistryError(
                f"MLflow at {self.address} refused the login; set {USERNAME} and {PASSWORD}"
            )
        if answer.status_code in (502, 503, 504):
            raise RegistryUnavailable(f"MLflow at {self.address} is not ready: {message}")
        error = RegistryError(f"MLflow answered {answer.status_code}: {message}")
        # MLflow answers 500 while its own database is away, a proxy 429 when it is busy.
        error.is_transient = answer.status_code in (429, 500)
        raise error

    def _unavailable(self, error: requests.RequestException) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"MLflow at {self.address} does not answer ({type(error).__name__}); start it with "
            "`moovier up`, or set MLFLOW_TRACKING_URI to where it runs"
        )

    def _foreign(self) -> RegistryError:
        return RegistryError(
            f"the server at {self.address} is not MLflow; check MLFLOW_TRACKING_URI"
        )


def _login(url: SplitResult) -> tuple[str, str] | None:
    """Return user and password from the address or the environment, or None."""
    if url.username:
        return unquote(url.username), unquote(url.password or "")
    username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
    return (username, password) if username and password else None


def _address(tracking_uri: str) -> SplitResult:
    """Parse a tracking URI.

    Raises:
        RegistryError: it is not an http(s) address.
    """
    message = "MLFLOW_TRACKING_URI must be a server's address, such as http://127.0.0.1:5000"
    try:
        url = urlsplit(tracking_uri)
        _ = url.port  # raises for a port that is not a number
    except ValueError as error:
        raise RegistryError(f"{message}: {error}") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise RegistryError(f"{message}, not {url.scheme or tracking_uri!r}")
    return url
