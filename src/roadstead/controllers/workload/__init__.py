"""The workload controller: jobs and their Workloads."""

from roadstead.controllers.workload.afterlife import AfterlifeController
from roadstead.controllers.workload.checks import AdmissionChecksController
from roadstead.controllers.workload.policy import Policy
from roadstead.controllers.workload.reconcile import WorkloadController

__all__ = ["AdmissionChecksController", "AfterlifeController", "Policy", "WorkloadController"]
