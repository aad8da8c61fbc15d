"""Run MLflow, Airflow and the service on one machine, for `moovier up`.

services.py          the processes: commands, addresses, order
environment.py       their common environment, and the generated secrets
ports.py             checks that the ports are free
supervisor.py        supervisord: configuration, start, states, stop
process_cleanup.py   finds and ends processes that a killed supervisor left behind
airflow_api.py       Airflow's REST API
pipeline.py          starts the first ingest and retraining, and follows their tasks
console.py           prints progress to the terminal
lifecycle.py         up and down
startup_summary.py   prints the addresses and the champion at the end of `moovier up`
"""
