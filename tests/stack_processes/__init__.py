"""The services of docker-compose.yaml, run as processes of this machine.

Each service gets an address of its own in 127.0.0.0/8, so it listens on the port of the file and
disturbs nothing else on the machine. In commands, environment and mounted files, the names of
services, container paths and 0.0.0.0 are replaced by the local addresses and folders. Everything
else comes from the file: commands, environment, health checks, start order, volumes, restarts.

No image is available, so local programs take their place: Postgres, Redis, Prometheus and the
exporters are the machine's own, and the S3 store is ``rclone serve s3``. Grafana has no
replacement and does not run.
"""
