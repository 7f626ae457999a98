"""What the demo's cloud account holds: a small company's clusters, logs, trail and findings.

All names are invented. Three findings are worth reporting: an open cluster endpoint, a cluster
without audit logs, and failed sign-ins of one user.
"""

import time
from collections.abc import Callable
from typing import Any

Clients = Callable[[str], Any]
"""Returns a botocore client of a service; botocore's clients carry no types."""

ACCOUNT = "123456789012"
CLUSTERS = (
    ("production", "1.31", ("api", "audit", "authenticator")),
    ("staging", "1.31", ("api", "audit")),
    ("batch", "1.30", ()),
)
USERS = ("amara.okafor", "jonas.lind", "mei.tanaka", "deploy-bot")
FINDINGS = (
    (
        "cluster-endpoint-public",
        "Cluster staging answers on a public endpoint",
        "HIGH",
        "AwsEksCluster",
        "staging",
    ),
    (
        "cluster-audit-logs-off",
        "Cluster batch writes no audit logs",
        "MEDIUM",
        "AwsEksCluster",
        "batch",
    ),
    (
        "user-without-mfa",
        "User jonas.lind signs in without a second factor",
        "MEDIUM",
        "AwsIamUser",
        "jonas.lind",
    ),
)
EVENTS = (
    ("production", "info", "secret payment-key read by system:serviceaccount:payments:api"),
    ("production", "warning", "forbidden: user jonas.lind may not list secrets in payments"),
    ("production", "warning", "forbidden: user jonas.lind may not exec into pod api-main"),
    ("staging", "warning", "anonymous request to the public endpoint was refused"),
    ("staging", "info", "clusterrolebinding debug-admin created by mei.tanaka"),
)
OTHER_LOG_GROUPS = ("/company/vpn", "/company/single-sign-on")
RETENTION_DAYS = 90


def build_estate(clients: Clients, *, region: str) -> None:
    """Create everything through the public API, as an account's owner would."""
    role = _identities(clients("iam"))
    _clusters(clients("eks"), role)
    _logs(clients("logs"))
    _trail(clients("s3"), clients("cloudtrail"), region)
    clients("guardduty").create_detector(
        Enable=True, FindingPublishingFrequency="FIFTEEN_MINUTES", Tags={"team": "security"}
    )
    _findings(clients("securityhub"), region)
    _customers(clients("cognito-idp"))


def _identities(iam: Any) -> str:
    trust = '{"Version": "2012-10-17", "Statement": []}'
    role: str = iam.create_role(RoleName="cluster-control", AssumeRolePolicyDocument=trust)["Role"][
        "Arn"
    ]
    for name in ("payments-api", "log-shipper", "break-glass-admin"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.create_group(GroupName="platform")
    for user in USERS:
        iam.create_user(UserName=user)
        iam.add_user_to_group(GroupName="platform", UserName=user)
    return role


def _clusters(eks: Any, role: str) -> None:
    for name, version, logs in CLUSTERS:
        setup = [{"types": list(logs), "enabled": True}] if logs else []
        eks.create_cluster(
            name=name,
            version=version,
            roleArn=role,
            resourcesVpcConfig={"subnetIds": ["subnet-a", "subnet-b"]},
            logging={"clusterLogging": setup},
            tags={"environment": name},
        )
        eks.create_nodegroup(
            clusterName=name, nodegroupName="general", subnets=["subnet-a"], nodeRole=role
        )


def _logs(logs: Any) -> None:
    now_ms = int(time.time() * 1000)
    for index, (name, _, kinds) in enumerate(CLUSTERS):
        if not kinds:
            continue
        group = f"/aws/eks/{name}/cluster"
        _log_group(logs, group, "kube-apiserver-audit")
        lines = [f"{level} {text}" for cluster, level, text in EVENTS if cluster == name]
        events = [
            {"timestamp": now_ms - (60 - index - place) * 60_000, "message": line}
            for place, line in enumerate(lines)
        ]
        logs.put_log_events(
            logGroupName=group, logStreamName="kube-apiserver-audit", logEvents=events
        )
    for group in OTHER_LOG_GROUPS:
        _log_group(logs, group, "sign-ins")
        message = "warning sign-in of jonas.lind failed: wrong password"
        logs.put_log_events(
            logGroupName=group,
            logStreamName="sign-ins",
            logEvents=[{"timestamp": now_ms - 30 * 60_000, "message": message}],
        )


def _log_group(logs: Any, group: str, stream: str) -> None:
    logs.create_log_group(logGroupName=group)
    logs.put_retention_policy(logGroupName=group, retentionInDays=RETENTION_DAYS)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)


def _trail(s3: Any, cloudtrail: Any, region: str) -> None:
    # S3 refuses its home region as a location constraint.
    place = (
        {}
        if region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    s3.create_bucket(Bucket="company-audit-trail", **place)
    cloudtrail.create_trail(
        Name="company-trail", S3BucketName="company-audit-trail", IsMultiRegionTrail=True
    )
    cloudtrail.start_logging(Name="company-trail")


def _findings(hub: Any, region: str) -> None:
    hub.enable_security_hub()
    product = f"arn:aws:securityhub:{region}:{ACCOUNT}:product/{ACCOUNT}/default"
    hub.batch_import_findings(
        Findings=[
            {
                "SchemaVersion": "2018-10-08",
                "Id": finding,
                "ProductArn": product,
                "GeneratorId": "company-rules",
                "AwsAccountId": ACCOUNT,
                "Types": ["Software and Configuration Checks"],
                "CreatedAt": "2026-01-05T08:00:00Z",
                "UpdatedAt": "2026-01-05T08:00:00Z",
                "Severity": {"Label": severity},
                "Title": title,
                "Description": f"{title}.",
                "Resources": [{"Type": kind, "Id": resource}],
            }
            for finding, title, severity, kind, resource in FINDINGS
        ]
    )


def _customers(cognito: Any) -> None:
    pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
    for name in ("customer-one", "customer-two"):
        cognito.admin_create_user(UserPoolId=pool, Username=name)
