"""Admission: the Decider that feeds the core and writes what it decides."""

from roadstead.controllers.admission.decider import AdmissionDecider

__all__ = ["AdmissionDecider"]
