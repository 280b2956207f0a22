"""Admission: the Decider that feeds the core and writes what it decides."""

from roadstead.controllers.admission.decider import PLACE_ALL, AdmissionDecider

__all__ = ["PLACE_ALL", "AdmissionDecider"]
