"""Several calls of `for_each` as one: collected, ordered by their variables, planned, and run where out of date."""

from scidb.pipeline.core import Pipeline
from scidb.pipeline.plan import PipelinePlan, PlannedStep
from scidb.pipeline.report import PipelineReport

__all__ = ["Pipeline", "PipelinePlan", "PipelineReport", "PlannedStep"]
