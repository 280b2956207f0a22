#!/usr/bin/env bash
# build.sh: builds a control plane (etcd and the three Kubernetes servers) into one binary, once, in a cache outside the clone; prints its path.
# build.sh --path: prints the path and builds nothing.
# The path names what the binary is made of, so what lies there is never stale. Two builders at once: the second waits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
command -v go > /dev/null || { echo "build.sh: Go (1.26 or newer) is not on the PATH. Install it from https://go.dev/dl/ or add it." >&2; exit 1; }
made_of=$({ sha256sum go.mod go.sum main.go build.sh; go env GOVERSION GOOS GOARCH; } | sha256sum | cut -c 1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/roadstead/realcluster/$made_of
binary=$folder/controlplane
if [ "${1-}" != --path ] && [ ! -x "$binary" ]; then
  mkdir -p "$folder"
  exec 9> "$folder/lock"
  flock 9
  if [ ! -x "$binary" ]; then # else another builder was first
    echo "build.sh: building a Kubernetes control plane; from nothing this takes minutes and about 2 GiB of memory" >&2
    version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v1.}
    stamp=
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=archive"
    done
    trap 'rm -f "$binary.$$"' EXIT
    CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false -tags grpcnotrace -ldflags "-s -w$stamp" -o "$binary.$$" . >&2
    mv "$binary.$$" "$binary"
  fi
fi
echo "$binary"
