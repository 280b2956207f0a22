#!/usr/bin/env python3
"""Write the packaged protobuf descriptors of the built-in kinds that are served, from the published `generated.proto`
files.

    pip install grpcio-tools
    go mod download k8s.io/api@v0.36.3 k8s.io/apimachinery@v0.36.3 k8s.io/api@v0.37.2
    scripts/protos.py "$(go env GOMODCACHE)/k8s.io" v0.36.3 v0.37.2 [-o src/roadstead/kinds/facts/protos.binpb.gz]

The output is a FileDescriptorSet with the messages that the kinds of `facts.json.gz` reach, without comments and
options. After `scripts/facts.py` has added a kind, run this too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

FACTS = Path(__file__).parent.parent / "src/roadstead/kinds/facts"
SOURCES = (
    "k8s.io/api/authentication/v1/generated.proto",
    "k8s.io/api/authorization/v1/generated.proto",
    "k8s.io/api/apps/v1/generated.proto",
    "k8s.io/api/autoscaling/v1/generated.proto",
    "k8s.io/api/batch/v1/generated.proto",
    "k8s.io/api/coordination/v1/generated.proto",
    "k8s.io/api/core/v1/generated.proto",
    "k8s.io/api/discovery/v1/generated.proto",
    "k8s.io/api/node/v1/generated.proto",
    "k8s.io/api/policy/v1/generated.proto",
    "k8s.io/api/rbac/v1/generated.proto",
    "k8s.io/api/resource/v1/generated.proto",
    "k8s.io/api/scheduling/v1/generated.proto",
)
ENVELOPE = "k8s.io.apimachinery.pkg.runtime.Unknown"
OPTIONS = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"


def roots() -> set[str]:
    """The messages that a request may carry: built-in kinds (lists are never sent), options, the envelope."""
    kinds = json.loads(gzip.decompress((FACTS / "facts.json.gz").read_bytes()))["kinds"]
    components = [
        name
        for name in kinds.values()
        if name.startswith(("io.k8s.api.", "io.k8s.apimachinery.")) and not name.endswith("List")
    ]
    return {ENVELOPE, OPTIONS} | {f"k8s.io.{name.removeprefix('io.k8s.')}" for name in components}


def compiled(modules: Path, version: str, newer: str) -> FileDescriptorSet:
    """What protoc makes of the sources and of all that they import; resource.k8s.io is taken from the `newer`
    release."""
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        (tree / "k8s.io/api").mkdir(parents=True)
        (tree / "k8s.io/apimachinery").symlink_to(modules / f"apimachinery@{version}")
        for group in (modules / f"api@{version}").iterdir():
            of = newer if group.name == "resource" else version
            (tree / "k8s.io/api" / group.name).symlink_to(modules / f"api@{of}" / group.name)
        output = tree / "all.binpb"
        arguments = ["protoc", f"-I{tree}", "--include_imports", f"--descriptor_set_out={output}", *SOURCES]
        if protoc.main(arguments) != 0:
            raise SystemExit(f"protoc refused the sources below {modules}; its words are above")
        return FileDescriptorSet.FromString(output.read_bytes())


def messages(package: str, found: DescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """A message and those declared in it, by full name."""
    name = f"{package}.{found.name}"
    yield name, found
    for inner in found.nested_type:
        yield from messages(name, inner)


def reachable(everything: FileDescriptorSet) -> set[str]:
    """The full names of the messages that a root reaches."""
    by_name = {
        name: found
        for file in everything.file
        for top in file.message_type
        for name, found in messages(file.package, top)
    }
    kept: set[str] = set()
    todo = list(roots())
    while todo:
        name = todo.pop()
        if name not in kept:
            kept.add(name)
            todo += [field.type_name.removeprefix(".") for field in by_name[name].field if field.type_name]
    return kept


def pruned(file: FileDescriptorProto, kept: set[str]) -> FileDescriptorProto:
    """The file with only the messages that are kept; imports are left to the caller."""
    result = FileDescriptorProto(name=file.name, package=file.package)  # proto2, all of them
    for top in file.message_type:
        if f"{file.package}.{top.name}" not in kept:
            continue
        message = result.message_type.add()
        message.CopyFrom(top)
        for field in [field for _, found in messages(file.package, message) for field in found.field]:
            field.ClearField("json_name")
            field.ClearField("options")
    return result


def packaged(everything: FileDescriptorSet) -> FileDescriptorSet:
    """The pruned set, in an order in which every file comes after those it imports."""
    kept = reachable(everything)
    files = {file.name: pruned(file, kept) for file in everything.file}
    files = {name: file for name, file in files.items() if file.message_type}
    homes = {
        name: file.name
        for file in files.values()
        for top in file.message_type
        for name, _ in messages(file.package, top)
    }
    for file in files.values():
        fields = [
            field for top in file.message_type for _, found in messages(file.package, top) for field in found.field
        ]
        used = {homes[field.type_name.removeprefix(".")] for field in fields if field.type_name}
        file.dependency.extend(sorted(used - {file.name}))
    return FileDescriptorSet(file=files.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path, help="the folder k8s.io of the Go module cache")
    parser.add_argument("version", help="of the modules k8s.io/api and k8s.io/apimachinery, such as v0.36.3")
    parser.add_argument("newer", help="of k8s.io/api/resource, such as v0.37.2")
    parser.add_argument("-o", "--output", type=Path, default=FACTS / "protos.binpb.gz")
    options = parser.parse_args()
    result = packaged(compiled(options.modules, options.version, options.newer))
    packed = gzip.compress(result.SerializeToString(deterministic=True), 9, mtime=0)
    options.output.write_bytes(packed)
    count = sum(len(file.message_type) for file in result.file)
    print(f"{options.output}: {count} messages of {len(result.file)} files, {len(packed)} bytes")


if __name__ == "__main__":
    main()
