"""Prints the API's OpenAPI document, from which the web page's client is generated.

python -m bentos.export_openapi > web/openapi.json
"""

from __future__ import annotations

import json
import sys

from bentos.app import create_app


def document() -> str:
    """Return the OpenAPI document as JSON, with its keys in a fixed order."""
    return json.dumps(create_app().openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
