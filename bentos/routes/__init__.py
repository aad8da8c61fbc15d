"""The routes, one module a subject: each translates between HTTP and :mod:`moovier.serving`."""
