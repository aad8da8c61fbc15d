"""One function per DAG task or command; plain JSON-able values in and out.

Every function may be run again after it was killed at any point: what was finished is found and
kept, the rest is done.
"""
