"""Write `.env` from `.env.example`, with a generated secret wherever there is none yet.

Needs nothing but Python, so that it runs on a machine that has Docker alone. Values that `.env`
has already are kept. Run in the project's folder:  python deploy/environment.py
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path

OPTIONAL = {"TMDB_API_KEY"}
_LINE = re.compile(r"^([A-Z0-9_]+)=(.*)$", re.MULTILINE)


def filled(example: str, there: str = "") -> str:
    """The text of a `.env`: ``example`` with the values of ``there``, and secrets for the rest."""
    kept = dict(_LINE.findall(there))
    known = set()

    def line(match: re.Match[str]) -> str:
        name, value = match.groups()
        known.add(name)
        value = kept.get(name) or value
        return f"{name}={value or ('' if name in OPTIONAL else secret(name))}"

    text = _LINE.sub(line, example)
    more = [f"{name}={value}\n" for name, value in kept.items() if name not in known]
    return text + "".join(more)


def secret(name: str) -> str:
    """A new secret of the form that ``name`` needs."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(os.urandom(32)).decode()
    # Airflow signs its tokens with HS512, which wants 64 bytes.
    return secrets.token_hex(64 if name == "AIRFLOW_JWT_SECRET" else 24)


def main() -> None:
    file = Path(".env")
    there = file.read_text() if file.exists() else ""
    text = filled(Path(".env.example").read_text(), there)
    temporary = Path(".env.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
        new.write(text)
    temporary.replace(file)
    print(".env is complete, readable by you only")


if __name__ == "__main__":
    main()
