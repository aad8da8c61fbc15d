"""Write `.env` from `.env.example`, with generated secrets for empty values.

Values in an existing `.env` are kept. The script needs only Python, so that it runs on a machine
that has nothing but Docker. Run it in the project's folder: python deploy/environment.py
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path

OPTIONAL = {"TMDB_API_KEY", "MOOVIER_NOTIFY_CONNECTION"}
_LINE = re.compile(r"^([A-Z0-9_]+)=(.*)$", re.MULTILINE)


def filled(example: str, existing: str = "") -> str:
    """Return the text of `.env`: ``example`` with the values of ``existing`` and new secrets."""
    values = dict(_LINE.findall(existing))
    names = set()

    def line(match: re.Match[str]) -> str:
        name, value = match.groups()
        names.add(name)
        value = values.get(name) or value
        return f"{name}={value or ('' if name in OPTIONAL else secret(name))}"

    text = _LINE.sub(line, example)
    others = [f"{name}={value}\n" for name, value in values.items() if name not in names]
    return text + "".join(others)


def secret(name: str) -> str:
    """Return a new secret in the form that the variable ``name`` needs."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(os.urandom(32)).decode()
    # Airflow signs its tokens with HS512, which needs at least 64 bytes.
    return secrets.token_hex(64 if name == "AIRFLOW_JWT_SECRET" else 24)


def main() -> None:
    """Write `.env`, readable by this user only."""
    file = Path(".env")
    existing = file.read_text() if file.exists() else ""
    text = filled(Path(".env.example").read_text(), existing)
    temporary = Path(".env.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
        new.write(text)
    temporary.replace(file)
    print(".env is complete, readable by you only")


if __name__ == "__main__":
    main()
