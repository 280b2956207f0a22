#!/usr/bin/env python3
"""Write the packaged schema facts of the kinds that are served, from facts recorded of a real server.

    scripts/facts.py OPENAPI.json.gz OPENAPI-QUEUEING.json.gz OPENAPI-RESOURCE.json.gz CRDS.json.gz APPS.json [-o src/roadstead/kinds/facts/facts.json.gz]

The inputs hold the /openapi/v3 components of a real API server without prose (`$ref` shortened to `ref`) and the static
part of CustomResourceDefinitions. Of the third only resource.k8s.io is taken: it is one minor release ahead of the
first. The last is `apis__apps__v1_openapi.json` as Kubernetes publishes it (`api/openapi-spec/v3` of the Go module
k8s.io/kubernetes), for the kinds that the record lacks. The output keeps what the served kinds reach; to serve another
kind, add it below and run this again.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SERVED = (
    "v1/Namespace",
    "v1/Node",
    "v1/Pod",
    "v1/ConfigMap",
    "v1/Secret",
    "v1/ServiceAccount",
    "v1/Event",
    "v1/LimitRange",
    "v1/Binding",
    "v1/Service",
    "v1/Endpoints",
    "v1/ResourceQuota",
    "apps/v1/ControllerRevision",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
    "apiextensions.k8s.io/v1/CustomResourceDefinition",
    "authentication.k8s.io/v1/SelfSubjectReview",
    "authentication.k8s.io/v1/TokenRequest",
    "authentication.k8s.io/v1/TokenReview",
    "authorization.k8s.io/v1/LocalSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectRulesReview",
    "authorization.k8s.io/v1/SubjectAccessReview",
    "coordination.k8s.io/v1/Lease",
    "node.k8s.io/v1/RuntimeClass",
    "autoscaling/v1/Scale",
    "policy/v1/Eviction",
    "policy/v1/PodDisruptionBudget",
    "discovery.k8s.io/v1/EndpointSlice",
    "rbac.authorization.k8s.io/v1/ClusterRole",
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
    "rbac.authorization.k8s.io/v1/Role",
    "rbac.authorization.k8s.io/v1/RoleBinding",
    "scheduling.k8s.io/v1/PriorityClass",
    "batch/v1/CronJob",
    "batch/v1/Job",
    "resource.k8s.io/v1/DeviceClass",
    "resource.k8s.io/v1/DeviceTaintRule",
    "resource.k8s.io/v1/ResourceClaim",
    "resource.k8s.io/v1/ResourceClaimTemplate",
    "resource.k8s.io/v1/ResourceSlice",
    "kueue.x-k8s.io/v1beta2/ResourceFlavor",
    "kueue.x-k8s.io/v1beta2/Cohort",
    "kueue.x-k8s.io/v1beta2/ClusterQueue",
    "kueue.x-k8s.io/v1beta2/LocalQueue",
    "kueue.x-k8s.io/v1beta2/Topology",
    "kueue.x-k8s.io/v1beta2/AdmissionCheck",
    "kueue.x-k8s.io/v1beta2/Workload",
    "kueue.x-k8s.io/v1beta2/WorkloadPriorityClass",
)
DEVICES = "io.k8s.api.resource.v1."
ALSO = ("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",)


def references(value: Any) -> Iterator[str]:
    """Names of the components that a schema refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("ref"), str):
            yield value["ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def read(path: str) -> Any:
    return json.loads(gzip.decompress(Path(path).read_bytes()))


def without_prose(value: Any) -> Any:
    """A published schema as the record has it: no descriptions, `allOf` of one reference as that, `$ref` as `ref`."""
    if isinstance(value, list):
        return [without_prose(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if len(value.get("allOf", ())) == 1 and "$ref" in value["allOf"][0]:
        value = {name: inner for name, inner in {**value, **value["allOf"][0]}.items() if name != "allOf"}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if name == "$ref":
            found["ref"] = inner.rpartition("/")[2]
        elif name == "properties":  # one of them may be called description
            found[name] = {property_name: without_prose(schema) for property_name, schema in inner.items()}
        elif not (name == "description" and isinstance(inner, str)):
            found[name] = without_prose(inner)
    return found


def published(path: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Kinds and schemas of a published OpenAPI v3 document."""
    schemas = without_prose(json.loads(Path(path).read_bytes())["components"]["schemas"])
    kinds = {
        f"{of['group']}/{of['version']}/{of['kind']}".lstrip("/"): name
        for name, schema in schemas.items()
        for of in schema.get("x-kubernetes-group-version-kind", ())[:1]
    }
    return kinds, schemas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("openapi")
    parser.add_argument("queueing")
    parser.add_argument("resource")
    parser.add_argument("crds")
    parser.add_argument("apps")
    default = Path(__file__).parent.parent / "src/roadstead/kinds/facts/facts.json.gz"
    parser.add_argument("-o", "--output", type=Path, default=default)
    options = parser.parse_args()

    kinds, schemas = published(options.apps)
    for source in (read(options.queueing), read(options.openapi)):
        kinds |= source["kinds"]
        schemas |= source["schemas"]
    newer = read(options.resource)
    kinds |= {name: component for name, component in newer["kinds"].items() if component.startswith(DEVICES)}
    schemas |= {name: schema for name, schema in newer["schemas"].items() if name.startswith(DEVICES)}

    wanted = {name: kinds[name] for name in SERVED}
    wanted |= {f"{name}List": kinds[f"{name}List"] for name in SERVED if f"{name}List" in kinds}
    kept: dict[str, Any] = {}
    todo = [*wanted.values(), *ALSO]
    while todo:
        name = todo.pop()
        if name in kept:
            continue
        kept[name] = schemas[name]
        todo.extend(references(schemas[name]))

    columns: dict[str, Any] = {}
    for crd in read(options.crds):
        group = crd["name"].split(".", 1)[1]
        for version in crd["versions"]:
            key = f"{group}/{version['name']}/{crd['names']['kind']}"
            if key in wanted:
                columns[key] = {
                    "names": crd["names"],
                    "scope": crd["scope"],
                    "subresources": version["subresources"] or {},
                    "columns": [
                        {key: value for key, value in column.items() if value is not None}
                        for column in version["additionalPrinterColumns"]
                    ],
                    "selectable": [field["jsonPath"] for field in version["selectableFields"] or ()],
                }
    facts = {"kinds": wanted, "schemas": kept, "custom": columns}
    packed = gzip.compress(json.dumps(facts, separators=(",", ":"), sort_keys=True).encode(), 9, mtime=0)
    options.output.write_bytes(packed)
    print(f"{len(wanted)} kinds, {len(kept)} schemas, {len(packed)} bytes in {options.output.name}")


if __name__ == "__main__":
    main()
