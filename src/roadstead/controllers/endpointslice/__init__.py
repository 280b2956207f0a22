"""The EndpointSlice controller."""

from roadstead.controllers.endpointslice.controller import EndpointSliceController

__all__ = ["EndpointSliceController"]
