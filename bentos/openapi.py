"""The API's description as a file, which the page's client is made from.

``python -m bentos.openapi > web/openapi.json``
"""

from __future__ import annotations

import json
import sys

from bentos.app import create_app


def document() -> str:
    """OpenAPI as JSON, in one form whatever the order of the routes' imports."""
    return json.dumps(create_app().openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
