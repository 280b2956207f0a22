"""Which Kubernetes this server says it is."""

from __future__ import annotations

import platform
from typing import Final

GIT_VERSION: Final = "v1.36.3"
"""The Kubernetes release whose API this server speaks; clients compare it with their own."""


def version_info() -> dict[str, str]:
    """What GET /version answers."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    major, minor, _ = GIT_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"python{platform.python_version()}",
        "platform": f"linux/{machine}",
    }
