"""One function for each DAG task or command, with JSON arguments and results.

Every function can be killed at any point and run again: it reuses what is finished and does the
rest.
"""
