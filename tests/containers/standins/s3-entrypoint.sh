#!/bin/sh
# Serve /data as SeaweedFS does in docker-compose.yaml: start as root, give the volume to a user
# without rights and become that user. The arguments are SeaweedFS's and are ignored.
set -eu
chown seaweed:seaweed /data
exec setpriv --reuid=seaweed --regid=seaweed --init-groups --inh-caps=-all -- \
    rclone serve s3 /data --addr 0.0.0.0:8333 --config "" \
    --auth-key "$AWS_ACCESS_KEY_ID,$AWS_SECRET_ACCESS_KEY"
