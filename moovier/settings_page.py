"""The page that documents every setting, written from the settings themselves.

``python -m moovier.settings_page > docs/settings.md``
"""

from __future__ import annotations

import sys

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from moovier.settings import PREFIX, Settings

_INTRODUCTION = f"""# Settings

Environment variables; unset or empty means the default. All start with `{PREFIX}`, but for the two
whose names people already know. A misspelt `{PREFIX}` variable stops every command. Folders are
relative to the folder where a command starts. This page is written by
`python -m moovier.settings_page`.

| variable | default | what it is |
|---|---|---|
"""


def page() -> str:
    """The whole page, as Markdown."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return _INTRODUCTION + "".join(rows)


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable that a field is read from."""
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[-1])
    return PREFIX + name.upper()


def _row(name: str, field: FieldInfo) -> str:
    known = field.default is not None and field.default_factory is None
    default = f"`{field.default}`" if known else ""
    return f"| `{variable(name, field)}` | {default} | {field.description} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
