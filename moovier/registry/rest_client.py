"""A client of MLflow's REST API over httpx, with time-outs and mapped errors.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

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
        self.address = str(url.copy_with(userinfo=b"")).rstrip("/")
        self._http = httpx.Client(
            base_url=url,
            auth=_login(url),
            timeout=httpx.Timeout(timeout_s),
            # Do not send requests to this machine through a proxy of the environment.
            trust_env=url.host not in _LOOPBACK,
        )

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
            with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    answer.read()
                    self._raise_for(answer)
                with to.open("wb") as target:
                    for chunk in answer.iter_bytes(_CHUNK):
                        target.write(chunk)
        except httpx.HTTPError as error:
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
                answer = self._http.put(path, content=content)
        except httpx.HTTPError as error:
            raise self._unavailable(error) from error
        if answer.is_error:
            self._raise_for(answer)

    def delete(self, artifact_uri: str, file: str) -> None:
        """Delete an artefact of a proxied store, if it exists.

        Raises:
            RegistryError: the server does not proxy the store, or refused the request.
        """
        with contextlib.suppress(NotFound):
            self._call("DELETE", self._artifact_path(artifact_uri, file))

    def _artifact_path(self, artifact_uri: str, file: str) -> str:
        url = httpx.URL(artifact_uri)
        if url.scheme != PROXIED:
            raise RegistryError(
                f"the artefacts are at {url.scheme}://…, which only the MLflow server can read; "
                "run `mlflow server` with --serve-artifacts and --artifacts-destination"
            )
        parts = (*PurePosixPath(url.path.lstrip("/")).parts, *PurePosixPath(file).parts)
        if ".." in parts:
            raise RegistryError(f"artefact path {file!r} leaves its folder")
        return f"{ARTIFACTS}/{'/'.join(quote(part, safe='') for part in parts)}"

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise self._unavailable(error) from error
        if answer.is_error:
            self._raise_for(answer)
        try:
            value = answer.json()
        except ValueError as error:
            raise self._foreign() from error
        if not isinstance(value, dict):
            raise self._foreign()
        return value

    def _raise_for(self, answer: httpx.Response) -> None:
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

    def _unavailable(self, error: httpx.HTTPError) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"MLflow at {self.address} does not answer ({type(error).__name__}); start it with "
            "`moovier up`, or set MLFLOW_TRACKING_URI to where it runs"
        )

    def _foreign(self) -> RegistryError:
        return RegistryError(
            f"the server at {self.address} is not MLflow; check MLFLOW_TRACKING_URI"
        )


def _login(url: httpx.URL) -> tuple[str, str] | None:
    """Return user and password from the address or the environment, or None."""
    if url.userinfo:
        return url.username, url.password
    username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
    return (username, password) if username and password else None


def _address(tracking_uri: str) -> httpx.URL:
    """Parse a tracking URI.

    Raises:
        RegistryError: it is not an http(s) address.
    """
    message = "MLFLOW_TRACKING_URI must be a server's address, such as http://127.0.0.1:5000"
    try:
        url = httpx.URL(tracking_uri)
    except httpx.InvalidURL as error:
        raise RegistryError(f"{message}: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise RegistryError(f"{message}, not {url.scheme or tracking_uri!r}")
    return url
