"""Make the buckets that are named on the command line, where they are not there yet."""

from __future__ import annotations

import sys

import boto3
from botocore.config import Config


def main(names: list[str]) -> None:
    # Address and keys come from the variables AWS_…
    s3 = boto3.client("s3", config=Config(retries={"max_attempts": 10, "mode": "standard"}))
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in names:
        if name not in there:
            s3.create_bucket(Bucket=name)
        print(f"{name}: {'there' if name in there else 'made'}")


if __name__ == "__main__":
    main(sys.argv[1:])
