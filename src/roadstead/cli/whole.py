"""Whole numbers on the command line."""

from __future__ import annotations

from typing import Any

import click


class Whole(click.IntRange):
    """An option's whole number between bounds, both allowed; anything else is told as what it is not, in words."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return super().convert(value, param, ctx)
