"""The workload controller: jobs and their Workloads."""

from roadstead.controllers.workload.afterlife import AfterlifeController
from roadstead.controllers.workload.reconcile import WorkloadController

__all__ = ["AfterlifeController", "WorkloadController"]
