"""docker-compose.yaml, run as processes of this machine.

Each service has an address of its own in 127.0.0.0/8, so that every port is the one that the file
says and nothing else on the machine is touched. Names of services, container paths and 0.0.0.0 are
replaced in commands, environment and mounted files by what stands for them here; commands,
environment, health checks, start order, volumes and restarts are otherwise the file's.

What stands in, since there is no image: Postgres, Redis, Prometheus and the exporters are the
machine's programs of that name, the S3 store is ``rclone serve s3``. Grafana cannot be had.
"""
