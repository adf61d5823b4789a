"""The lake in a bucket: the same day, on a real server that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bounce_sync_tests.installation import installed
from bounce_sync_tests.tenant import Tenant, last_day

DAY = last_day()
BUCKET = "acme-bounce-sync"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a lake in an empty bucket; the environment leads every AWS client to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    try:
        yield f"s3://{BUCKET}/lake"
    finally:
        server.stop()


def _objects() -> set[str]:
    listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET)
    return {each["Key"] for each in listed["Contents"]}


def test_a_day_and_its_repetition_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    tenant = Tenant()
    for _ in range(3):
        tenant.bounce(tenant.subscriber(tenant.contact(), "Held"), DAY)
    with installed(tenant, tmp_path, BOUNCE_SYNC_LAKE=bucket) as installation:
        runner = installation.runner
        first, again = runner.materialise(DAY), runner.materialise(DAY)
        for report, written in ((first, 3), (again, 0)):
            assert report.success, report.error
            assert report.number("crm_flag_updates", "written") == written
        assert runner.lake.count("crm_flag_updates", DAY) == 3
    stored = _objects()
    assert f"lake/crm_flag_updates/{DAY}.parquet" in stored
    assert [key for key in stored if key.startswith("lake/_replaced/crm_flag_updates/")]
    assert not [key for key in stored if key.endswith(".tmp")]
    assert not (tmp_path / "home" / "lake").exists()
