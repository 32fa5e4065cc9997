"""Sign addresses in S3."""

from __future__ import annotations

import os

import boto3
from botocore.config import Config

BUCKET = os.environ.get("BUCKET", "sample-project-thumbnails")
LIFETIME = 900
"""Seconds that a signed address can be used for."""

# Made once, while Lambda starts the function, and used by every call. Lambda puts the credentials of the
# function's role into the environment; elsewhere others stand in, which sign addresses that S3 will refuse.
_s3 = boto3.client(
    "s3",
    region_name=os.environ.get("AWS_REGION", "eu-central-1"),
    aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "none"),
    aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "none"),
    aws_session_token=os.environ.get("AWS_SESSION_TOKEN"),
    config=Config(
        signature_version="s3v4",
        # Addresses name the bucket's region: those that do not are redirected, and a redirected PUT fails.
        s3={"addressing_style": "virtual"},
        # A checksum would be of bytes that nobody has seen yet, and every upload would be refused.
        request_checksum_calculation="when_required",
    ),
)


def sign_upload(key: str, media_type: str) -> str:
    """Return an address to which whoever knows it may PUT one object, for a quarter of an hour."""
    address: str = _s3.generate_presigned_url(
        "put_object",
        Params={"Bucket": BUCKET, "Key": key, "ContentType": media_type},
        ExpiresIn=LIFETIME,
    )
    return address
