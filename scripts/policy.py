#!/usr/bin/env python3
"""Write the packaged bootstrap policy: the roles and bindings that a real API server makes at its start.

    kubectl get clusterroles,clusterrolebindings,roles,rolebindings -A -l kubernetes.io/bootstrapping=rbac-defaults -o json > POLICY.json
    scripts/policy.py POLICY.json [-o src/roadstead/kinds/rbac/policy.json.gz]

Ask a server that runs without controllers, so that aggregated roles are still empty.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

KEPT = ("aggregationRule", "rules", "roleRef", "subjects")
ORDER = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def recorded(item: dict[str, Any]) -> dict[str, Any]:
    """What the server was told, without what it keeps itself."""
    metadata = {
        key: item["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in item["metadata"]
    }
    rest = {key: item[key] for key in KEPT if item.get(key)}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, **rest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    default = Path(__file__).parent.parent / "src/roadstead/kinds/rbac/policy.json.gz"
    parser.add_argument("-o", "--output", type=Path, default=default)
    options = parser.parse_args()
    items = [recorded(item) for item in json.loads(options.policy.read_text())["items"]]
    items.sort(
        key=lambda item: (ORDER.index(item["kind"]), item["metadata"].get("namespace", ""), item["metadata"]["name"])
    )
    packed = gzip.compress(json.dumps(items, separators=(",", ":"), sort_keys=True).encode(), 9, mtime=0)
    options.output.write_bytes(packed)
    print(f"{len(items)} objects, {len(packed)} bytes in {options.output.name}")


if __name__ == "__main__":
    main()
