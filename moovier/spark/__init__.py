"""Large data on an Apache Spark cluster: docs/spark.md. Needs the extra ``spark``.

Only functions of :mod:`moovier.jobs` import this package, and only with ``MOOVIER_ENGINE=spark``.
"""
