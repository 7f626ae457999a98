"""A service's name is spelled once: what ``topology.SERVICES`` says is what everything says."""

import ast
import tomllib

import pytest
import yaml
from repository import BASE, ROOT, found, manifest, package

from pointsman.contracts.topology import (
    CONSUMERS,
    LLM_WORK,
    SERVICES,
    Consumer,
    dead_subject,
    event_subject,
    work_subject,
)

each_service = pytest.mark.parametrize("service", SERVICES)


def test_the_folders_are_the_services() -> None:
    folders = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    assert folders == set(SERVICES)


@each_service
def test_the_package_is_the_service(service: str) -> None:
    names = {path.name for path in package(service).parent.iterdir() if path.is_dir()}
    assert names - {"__pycache__"} == {service}
    project = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())
    assert project["project"]["name"] == f"pointsman-{service}"


@each_service
def test_the_composition_root_builds_the_service_of_its_name(service: str) -> None:
    tree = ast.parse((package(service) / "app.py").read_text(encoding="utf-8"))
    names = [
        keyword.value.value
        for call in found(tree, ast.Call)
        if isinstance(call.func, ast.Name | ast.Subscript) and "Service" in ast.unparse(call.func)
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    ]
    assert names == [service]


@each_service
def test_the_manifests_name_the_service(service: str) -> None:
    deployment = manifest(service, "deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    scaled = manifest(service, "scaledobject.yaml")
    kustomization = manifest(service, "kustomization.yaml")
    names = {
        "Deployment": deployment["metadata"]["name"],
        "selector": deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"],
        "ServiceAccount": manifest(service, "serviceaccount.yaml")["metadata"]["name"],
        "ServiceAccount of the pod": pod["serviceAccountName"],
        "Service": manifest(service, "service.yaml")["metadata"]["name"],
        "ScaledObject": scaled["metadata"]["name"],
        "scale target": scaled["spec"]["scaleTargetRef"]["name"],
        "label": kustomization["labels"][0]["pairs"]["app.kubernetes.io/name"],
        "image": container["image"].removeprefix("pointsman/"),
    }
    assert names == dict.fromkeys(names, service)


def test_the_base_has_no_other_service() -> None:
    resources = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    folders = {path.name for path in BASE.iterdir() if path.is_dir()} - {"shared"}
    assert folders == set(resources) == set(SERVICES)


def test_a_consumer_is_called_as_its_service_and_ingress_has_none() -> None:
    assert {consumer.durable for consumer in CONSUMERS} == set(SERVICES) - {"ingress"}


@pytest.mark.parametrize(
    "consumer", [c for c in CONSUMERS if c.stream == LLM_WORK], ids=lambda c: c.durable
)
def test_a_work_subject_ends_in_its_service(consumer: Consumer) -> None:
    assert consumer.subject.split(".")[-1] == consumer.durable


def test_subjects_carry_the_name_as_it_is() -> None:
    for service in SERVICES:
        assert work_subject(service).split(".") == ["llm", "work", service]
        assert event_subject(service, "fact").split(".") == ["llm", "event", service, "fact"]
        assert dead_subject(service).split(".") == ["llm", "dead", service]
