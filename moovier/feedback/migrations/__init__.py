"""Alembic's folder. Add `versions/vNNNN_what.py`, then raise `moovier.feedback.schema.HEAD`."""
