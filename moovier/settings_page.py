"""Write the page that documents every setting, from the fields of the settings.

Run ``python -m moovier.settings_page > docs/settings.md``.
"""

from __future__ import annotations

import sys

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from moovier.settings import PREFIX, Settings

_INTRODUCTION = f"""# Settings

Settings are environment variables. An unset or empty variable means the default. All names start
with `{PREFIX}`, except `TMDB_API_KEY` and `MLFLOW_TRACKING_URI`. An unknown `{PREFIX}` variable
stops every command. Paths are relative to the folder in which a command starts.

`python -m moovier.settings_page` writes this page.

| variable | default | description |
|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return _INTRODUCTION + "".join(rows)


def variable(name: str, field: FieldInfo) -> str:
    """Return the environment variable of a field."""
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[-1])
    return PREFIX + name.upper()


def _row(name: str, field: FieldInfo) -> str:
    is_constant = field.default not in (None, ()) and field.default_factory is None
    default = f"`{field.default}`" if is_constant else ""
    return f"| `{variable(name, field)}` | {default} | {field.description} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
