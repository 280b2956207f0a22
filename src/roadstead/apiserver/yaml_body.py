"""YAML request bodies: refusals in the words of the real server's decoder."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import yaml_text

CONVERTING: Final = "error converting YAML to JSON: "
"""What comes before the words of NotYaml where the server reads YAML by way of JSON: all but the bodies that are
objects."""


class NotYaml(ValueError):
    """The text cannot be read; the message is worded as the real server's."""


def load(text: bytes) -> Any:
    """The first document of `text` as JSON values. Raises NotYaml."""
    try:
        return yaml_text.read_first(text)
    except yaml_text.YamlError as error:
        line = f"line {error.go_line}: " if error.go_line else ""
        raise NotYaml(f"yaml: {line}{error.problem}") from error
