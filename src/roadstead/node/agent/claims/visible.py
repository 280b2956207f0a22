"""What a container finds of the claims that it names in `resources.claims`, and of no others. Pure.

| variable | value |
|---|---|
| CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES | its GPUs by node-local index, MIG instances by uuid, after those that its pod was given by count |
| NCCL_IB_HCA | its RDMA devices, exactly these ("=mlx5_0,mlx5_1"); unset if it has none |
| ROADSTEAD_CLAIM_<CLAIM>_DEVICES | names of the devices of a claim, in the order of the allocation |
| ROADSTEAD_CLAIM_<CLAIM>_REQUEST_<REQUEST>_DEVICES | of one request |
| ROADSTEAD_CLAIM_<CLAIM>_REQUEST_<REQUEST>_DIR | directory with the files below |

<CLAIM> is the pod's word for the claim (`spec.resourceClaims[].name`). Files of a request:

| file | content |
|---|---|
| <driver>-metadata.json | attributes of its devices (KEP-5304, `metadata.resource.k8s.io/v1alpha1`) |
| <driver>-config.json | list of the opaque parameters meant for that driver, class first; what comes later wins |
| allocation.json | results and config of the request as the claim's status has them: shares, capacity |

In tiers that mount, they are also where KEP-5304 wants them: `/var/run/kubernetes.io/dra-device-attributes/`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import orjson

from roadstead.kinds.object import Json
from roadstead.node.agent.claims.record import Prepared, PreparedClaim, PreparedDevice
from roadstead.node.agent.hardware import GPU_DRIVER, NIC_DRIVER
from roadstead.node.agent.views import Container, Pod

MOUNTED: Final = PurePosixPath("/var/run/kubernetes.io/dra-device-attributes")


class Share(NamedTuple):
    """What a container has of one claim: all of it, or the devices of some requests."""

    claim: PreparedClaim
    devices: tuple[PreparedDevice, ...]

    @property
    def by_request(self) -> Mapping[str, Sequence[PreparedDevice]]:
        return _by_request(self.devices)


def _by_request(devices: Iterable[PreparedDevice]) -> dict[str, list[PreparedDevice]]:
    found: dict[str, list[PreparedDevice]] = {}
    for device in devices:
        found.setdefault(device.request, []).append(device)
    return found


def shares(pod: Pod, container: Container, prepared: Prepared) -> list[Share]:
    """What of its pod's claims the container has, in the pod's order."""
    extended = pod.status.extended_resource_claim_status
    found = []
    for claim in prepared:
        if claim.entry:
            named = {ref.request for ref in container.resources.claims if ref.name == claim.entry}
        else:
            mappings = extended.request_mappings if extended is not None else ()
            named = {one.request_name for one in mappings if one.container_name == container.name}
        if named:
            devices = tuple(one for one in claim.devices if "" in named or one.request in named)
            found.append(Share(claim, devices))
    return found


def _slug(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def prefix(claim: str) -> str:
    """What the variables of a claim begin with.

    >>> prefix("two-gpus")
    'ROADSTEAD_CLAIM_TWO_GPUS'
    """
    return f"ROADSTEAD_CLAIM_{_slug(claim)}"


def _names(devices: Iterable[PreparedDevice]) -> str:
    return ",".join(device.name for device in devices)


def gpus(given: Iterable[Share]) -> list[str]:
    """How CUDA calls the GPUs of these claims, each once."""
    return _visible(given, GPU_DRIVER)


def _visible(given: Iterable[Share], driver: str) -> list[str]:
    devices = (device for share in given for device in share.devices)
    return list(dict.fromkeys(device.visible for device in devices if device.driver == driver and device.visible))


def variables(given: Sequence[Share], top: PurePosixPath) -> dict[str, str]:
    """All but CUDA's; `top` is where the files are."""
    found: dict[str, str] = {}
    if adapters := _visible(given, NIC_DRIVER):
        found["NCCL_IB_HCA"] = "=" + ",".join(adapters)
    for claim, devices in given:
        name = prefix(claim.entry or claim.name)
        for request, some in _by_request(devices).items():
            found[f"{name}_REQUEST_{_slug(request)}_DEVICES"] = _names(some)
            found[f"{name}_REQUEST_{_slug(request)}_DIR"] = str(top / place(claim) / request)
        found[f"{name}_DEVICES"] = _names(devices)
    return found


def place(claim: PreparedClaim) -> PurePosixPath:
    """Where a claim's files are below MOUNTED, and below the pod's own directory of them."""
    if claim.entry and claim.from_template:
        return PurePosixPath("resourceclaimtemplates", claim.entry)
    return PurePosixPath("resourceclaims", claim.name)


def files(prepared: Prepared) -> dict[PurePosixPath, bytes]:
    """All files of a pod's claims, by their place."""
    return {path: content for claim in prepared for path, content in _files(claim)}


def _files(claim: PreparedClaim) -> Iterator[tuple[PurePosixPath, bytes]]:
    for request, devices in _by_request(claim.devices).items():
        top = place(claim) / request
        config = [one for one in claim.config if _is_for(one, devices)]
        drivers = dict.fromkeys(device.driver for device in devices)
        for driver in drivers:
            yield top / f"{driver}-metadata.json", _encoded(_metadata(claim, driver, devices))
            parameters = [
                opaque.get("parameters")
                for one in config
                if (opaque := one.get("opaque") or {}).get("driver") == driver
            ]
            if parameters:
                yield top / f"{driver}-config.json", _encoded(parameters)
        yield top / "allocation.json", _encoded({"results": [device.result for device in devices], "config": config})


def _is_for(config: Json, devices: Iterable[PreparedDevice]) -> bool:
    """Does a piece of configuration apply to some of these results? It names requests, or alternatives
    (`request/alternative`)."""
    requests = config.get("requests")
    if not requests:
        return True
    return any(device.result["request"] in requests or device.request in requests for device in devices)


def _metadata(claim: PreparedClaim, driver: str, devices: Iterable[PreparedDevice]) -> Json:
    """The DeviceMetadata of one driver's devices for one request. What was chosen of a list has the name of the
    alternative, too."""
    requests: dict[str, list[Json]] = {}
    for device in devices:
        if device.driver == driver:
            one = {"driver": driver, "pool": device.pool, "name": device.name, "attributes": device.attributes}
            requests.setdefault(device.result["request"], []).append(one)
    found: Json = {
        "kind": "DeviceMetadata",
        "apiVersion": "metadata.resource.k8s.io/v1alpha1",
        "metadata": {"name": claim.name, "namespace": claim.namespace, "uid": claim.uid, "generation": 1},
    }
    if claim.entry and claim.from_template:
        found["podClaimName"] = claim.entry
    return {**found, "requests": [{"name": name, "devices": some} for name, some in requests.items()]}


def _encoded(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def allocated_resources(container: Container, prepared: Prepared, lost: Collection[str]) -> list[Json]:
    """The container's `allocatedResourcesStatus` (KEP-4680): each device of its claims and whether it is in order. Of
    devices that others prepared nothing is known."""
    by_entry = {claim.entry: claim for claim in prepared if claim.entry}
    found: dict[str, Json] = {}
    for ref in container.resources.claims:
        claim = by_entry.get(ref.name)
        if claim is None:
            continue
        devices = [one for one in claim.devices if ref.request in ("", one.request)]
        name = f"claim:{ref.name}/{ref.request}" if ref.request else f"claim:{ref.name}"
        resources = [{"resourceID": _id(device), "health": _health(device, lost)} for device in devices]
        if resources:
            found[name] = {"name": name, "resources": resources}
    return list(found.values())


def _id(device: PreparedDevice) -> str:
    return device.cdi[0] if device.cdi else f"{device.driver}/{device.pool}/{device.name}"


def _health(device: PreparedDevice, lost: Collection[str]) -> str:
    if not device.physical:
        return "Unknown"
    return "Unhealthy" if device.physical in lost else "Healthy"
