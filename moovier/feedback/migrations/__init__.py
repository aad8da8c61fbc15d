"""Alembic's migrations of the feedback database.

To add one, write `versions/vNNNN_subject.py` and raise `moovier.feedback.schema.HEAD`.
"""
