"""The verbs of the pipelines: records in, records out, through ports."""
