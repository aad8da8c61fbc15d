"""The HTTP API and the fine-tuning process: doors into :mod:`moovier`, without logic of their own.

A request passes :mod:`bentos.middleware`, then a module of :mod:`bentos.routes`, which translates
between :mod:`bentos.schemas` and :mod:`moovier.serving`.
"""
