"""Everything that `moovier up` runs on one machine: MLflow, Airflow and the service.

parts.py         what runs: commands, health addresses, order
environment.py   the environment that all of it shares, and the generated secrets
ports.py         is each port free, and if not, who holds it
supervisor.py    supervisord: configuration, start, states, stop
processes.py     finding and ending what a killed supervisor left behind
airflow_api.py   Airflow's REST API
pipeline.py      the first ingest and retraining, followed task by task
report.py        what the person at the terminal sees
lifecycle.py     up and down
"""
