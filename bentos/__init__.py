"""The HTTP API and the process that fine-tunes: doors into :mod:`moovier`, no logic here."""
