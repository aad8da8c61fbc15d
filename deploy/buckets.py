"""Create the buckets that the command line names, unless they exist."""

from __future__ import annotations

import sys

import boto3
from botocore.config import Config


def main(names: list[str]) -> None:
    """Create the buckets; address and keys come from AWS's environment variables."""
    s3 = boto3.client("s3", config=Config(retries={"max_attempts": 10, "mode": "standard"}))
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in names:
        if name not in existing:
            s3.create_bucket(Bucket=name)
        print(f"{name}: {'exists' if name in existing else 'created'}")


if __name__ == "__main__":
    main(sys.argv[1:])
