import urllib.request
from collections.abc import Generator
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from pointsman.loadgen.cloud import DEFAULT_REGION, serving_cloud
from pointsman.loadgen.cloud_estate import CLUSTERS, FINDINGS


@pytest.fixture(scope="module")
def endpoint() -> Generator[str]:
    with serving_cloud() as address:
        yield address


def client(endpoint: str, service: str) -> Any:
    return botocore.session.Session().create_client(
        service,
        region_name=DEFAULT_REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_account_holds_clusters_with_and_without_audit_logs(endpoint: str) -> None:
    eks = client(endpoint, "eks")
    assert set(eks.list_clusters()["clusters"]) == {name for name, _, _ in CLUSTERS}
    batch = eks.describe_cluster(name="batch")["cluster"]
    assert batch["logging"]["clusterLogging"] == []


def test_account_holds_log_events_of_refused_access(endpoint: str) -> None:
    logs = client(endpoint, "logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert "/aws/eks/production/cluster" in groups
    events = logs.filter_log_events(logGroupName="/aws/eks/production/cluster")["events"]
    assert sum("forbidden" in event["message"] for event in events) == 2


def test_account_holds_findings_trail_detector_and_people(endpoint: str) -> None:
    findings = client(endpoint, "securityhub").get_findings()["Findings"]
    assert {finding["Id"] for finding in findings} == {row[0] for row in FINDINGS}
    assert client(endpoint, "cloudtrail").describe_trails()["trailList"][0]["IsMultiRegionTrail"]
    assert len(client(endpoint, "guardduty").list_detectors()["DetectorIds"]) == 1
    assert len(client(endpoint, "iam").list_users()["Users"]) == 4
    assert client(endpoint, "cognito-idp").list_user_pools(MaxResults=5)["UserPools"]


def test_operation_that_moto_lacks_is_an_error_not_a_hang(endpoint: str) -> None:
    detector = client(endpoint, "guardduty").list_detectors()["DetectorIds"][0]
    with pytest.raises(ClientError):
        client(endpoint, "guardduty").list_findings(DetectorId=detector)


def test_server_is_gone_after_exit() -> None:
    with serving_cloud() as address, urllib.request.urlopen(f"{address}/moto-api/") as response:
        assert response.status == 200
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{address}/moto-api/", timeout=2)
