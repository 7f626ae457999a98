"""What the cluster has before a release: the namespace and NATS, as kustomize renders them."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from manifests import (
    CLUSTER_WIDE,
    NAME,
    NAMESPACE,
    OVERLAYS,
    PLATFORM,
    Document,
    container_of,
    environment_of,
    image_problem,
    of_kind,
    overlay_folder,
    pod_labels,
    pod_of,
    ports_of,
    render,
    restricted_problems,
    selects,
)

from pointsman.contracts.topology import BUCKETS, SERVICES, STREAMS

pytestmark = pytest.mark.usefixtures("kubectl")

UNITS = {"MB": 1024**2, "GB": 1024**3, "Mi": 1024**2, "Gi": 1024**3}


@pytest.fixture
def documents() -> tuple[Document, ...]:
    return render(PLATFORM)


@pytest.fixture
def nats(documents: tuple[Document, ...]) -> Document:
    return of_kind(documents, "StatefulSet")["nats"]


@pytest.fixture
def nats_conf(documents: tuple[Document, ...]) -> str:
    (config,) = of_kind(documents, "ConfigMap").values()
    return str(config["data"]["nats.conf"])


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]  # a bad size fails here
    return int(number) * UNITS[unit]


def setting(conf: str, name: str) -> str:
    (value,) = re.findall(rf"^\s*{name}: (\S+)$", conf, re.MULTILINE)
    return str(value)


def test_the_namespace_is_restricted(documents: tuple[Document, ...]) -> None:
    (namespace,) = of_kind(documents, "Namespace").values()
    assert namespace["metadata"]["name"] == NAMESPACE
    for mode in ("enforce", "audit", "warn"):
        assert namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_every_namespaced_document_is_in_our_namespace(documents: tuple[Document, ...]) -> None:
    for document in documents:
        if document["kind"] not in CLUSTER_WIDE:
            assert document["metadata"]["namespace"] == NAMESPACE


def test_the_platform_and_a_release_share_no_document(documents: tuple[Document, ...]) -> None:
    platform = {(document["kind"], document["metadata"]["name"]) for document in documents}
    for overlay in OVERLAYS:
        release = render(overlay_folder(overlay))
        assert platform.isdisjoint((d["kind"], d["metadata"]["name"]) for d in release)


def test_nats_is_restricted_bounded_and_fixed(nats: Document) -> None:
    assert restricted_problems(nats) == []
    container = container_of(nats)
    assert image_problem(container["image"]) is None
    for kind in ("requests", "limits"):
        assert set(container["resources"][kind]) == {"cpu", "memory"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"].startswith("/healthz")
        assert container[probe]["httpGet"]["port"] == "monitor"


def test_nats_is_a_cluster_of_three_that_keeps_a_majority(
    documents: tuple[Document, ...], nats: Document, nats_conf: str
) -> None:
    assert nats["spec"]["replicas"] == 3
    assert nats["spec"]["serviceName"] == "nats-headless"
    budget = of_kind(documents, "PodDisruptionBudget")["nats"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert selects(budget["selector"], pod_labels(nats))
    routes = re.findall(r"nats-route://(\S+):6222", nats_conf)
    assert routes == [
        f"nats-{index}.nats-headless.{NAMESPACE}.svc.cluster.local" for index in range(3)
    ]


def test_keda_can_find_a_consumers_leader(nats: Document, nats_conf: str) -> None:
    """KEDA takes the leader's server name for its pod's name (KUBERNETES: no_advertise)."""
    (name,) = (v for v in container_of(nats)["env"] if v["name"] == "SERVER_NAME")
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert setting(nats_conf, "server_name") == "$SERVER_NAME"
    assert setting(nats_conf, "no_advertise") == "true"


def test_services_reach_the_pods(documents: tuple[Document, ...], nats: Document) -> None:
    services = of_kind(documents, "Service")
    assert services["nats-headless"]["spec"]["clusterIP"] == "None"
    assert services["nats-headless"]["spec"]["publishNotReadyAddresses"] is True
    for service in services.values():
        assert service["spec"]["selector"] == {NAME: "nats"}
        for port in service["spec"]["ports"]:
            assert ports_of(nats)[port["targetPort"]] == port["port"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_release_connects_to_the_service_that_is_there(
    documents: tuple[Document, ...], overlay: str
) -> None:
    release = render(overlay_folder(overlay))
    (port,) = of_kind(documents, "Service")["nats"]["spec"]["ports"]
    url = f"nats://nats.{NAMESPACE}.svc.cluster.local:{port['port']}"
    for workload in of_kind(release, "Deployment").values():
        assert environment_of(workload, release)["NATS_URL"] == url


@pytest.mark.parametrize("service", SERVICES)
def test_the_policy_lets_services_keda_and_prometheus_in(
    documents: tuple[Document, ...], service: str
) -> None:
    policy = of_kind(documents, "NetworkPolicy")["nats"]["spec"]
    rules = {rule["ports"][0]["port"]: rule["from"] for rule in policy["ingress"]}
    assert set(rules) == {4222, 6222, 8222}
    release = of_kind(render(overlay_folder("production")), "Deployment")[service]
    assert any(selects(peer["podSelector"], pod_labels(release)) for peer in rules[4222])
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}} in rules[
        8222
    ]


def test_the_disk_holds_what_the_topology_may_store(nats: Document, nats_conf: str) -> None:
    may_store = sum(stream.max_bytes for stream in STREAMS) + sum(b.max_bytes for b in BUCKETS)
    (claim,) = nats["spec"]["volumeClaimTemplates"]
    volume = size(claim["spec"]["resources"]["requests"]["storage"])
    assert may_store < size(setting(nats_conf, "max_file_store")) < volume


def test_the_largest_message_of_the_topology_may_pass(nats_conf: str) -> None:
    largest = max(stream.max_msg_size for stream in STREAMS)
    assert size(setting(nats_conf, "max_payload")) >= largest


def test_the_config_is_mounted_whole(documents: tuple[Document, ...], nats: Document) -> None:
    (config,) = of_kind(documents, "ConfigMap")
    (volume,) = (v for v in pod_of(nats)["volumes"] if "configMap" in v)
    (mount,) = (m for m in container_of(nats)["volumeMounts"] if m["name"] == volume["name"])
    assert volume["configMap"]["name"] == config
    assert "subPath" not in mount
    assert container_of(nats)["args"] == ["--config", f"{mount['mountPath']}/nats.conf"]


def test_nats_accepts_its_configuration(nats_conf: str, tmp_path: Path) -> None:
    here = Path(sysconfig.get_path("scripts")) / "nats-server"
    program = str(here) if here.is_file() else shutil.which("nats-server")
    if program is None:
        pytest.skip("no nats-server here: its configuration is not checked")
    (tmp_path / "nats.conf").write_text(nats_conf)
    checked = subprocess.run(
        [program, "-t", "-c", str(tmp_path / "nats.conf")],
        env={**os.environ, "SERVER_NAME": "nats-0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
