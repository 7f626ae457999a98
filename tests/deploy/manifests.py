"""Rendered manifests, and the few ways the tests here look into them.

Owns rendering (``kubectl kustomize``) and look-ups; the rules are in the tests.
"""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

Document = dict[str, Any]

ROOT = Path(__file__).parents[2]
NAMESPACE = "pointsman"
NAME = "app.kubernetes.io/name"
OVERLAYS = ("local", "staging", "production")
PLATFORM = ROOT / "deploy" / "k8s"
CLUSTER_WIDE = {"Namespace", "CustomResourceDefinition"}


def overlay_folder(name: str) -> Path:
    return ROOT / "deploy" / "kustomize" / "overlays" / name


@cache
def kubectl_problem() -> str | None:
    """Why nothing can be rendered here, in one line; None if it can."""
    if shutil.which("kubectl") is None:
        return "kubectl is not on PATH: manifests are not rendered"
    told = subprocess.run(
        ["kubectl", "version", "--client", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    try:
        version = str(json.loads(told.stdout)["kustomizeVersion"])
    except (ValueError, KeyError):
        return "kubectl does not say which kustomize it has: manifests are not rendered"
    if int(version.lstrip("v").partition(".")[0]) < 5:
        return f"kubectl has kustomize {version}, 5 or later is needed: manifests are not rendered"
    return None


@cache
def render(folder: Path) -> tuple[Document, ...]:
    """Build a kustomization. A build that fails fails the test with what kustomize said."""
    built = subprocess.run(
        ["kubectl", "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert built.stderr == "", f"kustomize warns: {built.stderr}"
    return tuple(cast("list[Document]", list(yaml.safe_load_all(built.stdout))))


def of_kind(documents: tuple[Document, ...], kind: str) -> dict[str, Document]:
    """The documents of one kind, by name."""
    return {
        str(document["metadata"]["name"]): document
        for document in documents
        if document["kind"] == kind
    }


def pod_of(workload: Document) -> Document:
    """The pod's spec of a Deployment or StatefulSet."""
    return cast("Document", workload["spec"]["template"]["spec"])


def container_of(workload: Document) -> Document:
    """The one container of a workload; none of ours has two."""
    (container,) = pod_of(workload)["containers"]
    return cast("Document", container)


def pod_labels(workload: Document) -> dict[str, str]:
    return cast("dict[str, str]", workload["spec"]["template"]["metadata"]["labels"])


def selects(selector: Document, labels: dict[str, str]) -> bool:
    """Whether a selector takes a pod with these labels; an empty one takes all."""
    wanted = cast("dict[str, str]", selector.get("matchLabels", {}))
    one_of = cast("list[Document]", selector.get("matchExpressions", []))
    assert all(each["operator"] == "In" for each in one_of)
    return wanted.items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in one_of
    )


def ports_of(workload: Document) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container_of(workload)["ports"]}


def environment_of(workload: Document, documents: tuple[Document, ...]) -> dict[str, str]:
    """The plain variables of a workload: its ConfigMaps', then its own; no Secret's."""
    container = container_of(workload)
    config_maps = of_kind(documents, "ConfigMap")
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            variables |= config_maps[source["configMapRef"]["name"]]["data"]
    for variable in container.get("env", []):
        if "value" in variable:
            variables[variable["name"]] = variable["value"]
    return variables


def restricted_problems(workload: Document) -> list[str]:
    """What Pod Security's ``restricted`` level, and our own rules, would say against a workload."""
    pod, container = pod_of(workload), container_of(workload)
    pod_context = pod.get("securityContext", {})
    context = container.get("securityContext", {})
    expected = {
        "runAsNonRoot": pod_context.get("runAsNonRoot") is True,
        "runAsUser": pod_context.get("runAsUser", 0) > 0,
        "seccompProfile": pod_context.get("seccompProfile") == {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
        "capabilities": context.get("capabilities") == {"drop": ["ALL"]},
        "privileged": not context.get("privileged"),
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is True,
        "automountServiceAccountToken": pod.get("automountServiceAccountToken") is False,
        "host namespaces": not any(pod.get(f"host{name}") for name in ("Network", "PID", "IPC")),
        "volumes": not any("hostPath" in volume for volume in pod.get("volumes", [])),
    }
    return [name for name, is_kept in expected.items() if not is_kept]


def image_problem(image: str) -> str | None:
    """Why an image reference is not fixed; None if it names a tag or a digest."""
    if "@sha256:" in image:
        return None
    tag = image.rpartition("/")[2].partition(":")[2]
    if not tag:
        return "no tag"
    return "the tag moves" if tag == "latest" else None


def closed(schema: Document) -> Document:
    """A CRD's schema with unknown fields refused, as ``kubectl apply`` does: no typo is ignored."""
    return cast("Document", _close(schema))


def _close(node: object) -> object:
    if isinstance(node, list):
        return [_close(item) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    schema = {key: _close(value) for key, value in cast("dict[str, object]", node).items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") is True
    is_object = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
    if is_object and not is_open:
        schema.setdefault("additionalProperties", False)
    return schema
