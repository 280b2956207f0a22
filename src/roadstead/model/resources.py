"""What an administrator says about which resources quota is charged for (Kueue's configuration `resources`: KEP-2937,
KEP-7513)."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from roadstead.model.amounts import ResourceName


class Output(msgspec.Struct, frozen=True):
    """So many nano-units of `resource` for each unit asked for; may be negative, to express an allowance."""

    resource: ResourceName
    nano: int

    @property
    def factor(self) -> Fraction:
        return Fraction(self.nano, 10**9)


class Transformation(msgspec.Struct, frozen=True):
    """Who asks for `source` is charged for the outputs, beside it (`replaces` off: Retain) or instead of it (Replace).
    The amount asked for is multiplied by that of `multiply_by` first, if the pod asks for that one."""

    source: ResourceName
    outputs: tuple[Output, ...] = ()
    replaces: bool = False
    multiply_by: ResourceName = ""


class ResourceRules(msgspec.Struct, frozen=True):
    """`excluded_prefixes`: resources whose name begins so need no quota. `ignore_undeclared` (quotaCheckStrategy
    IgnoreUndeclared): neither do those that the ClusterQueue's groups do not list; off: who asks for one is not
    admitted."""

    excluded_prefixes: tuple[str, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    ignore_undeclared: bool = False
    device_classes: tuple[tuple[str, ResourceName], ...] = ()
    """DeviceClass -> the quota resource that its devices count under (deviceClassMappings: KEP-2941)."""


PLAIN = ResourceRules()
"""What a pod asks for is what it is charged for."""
