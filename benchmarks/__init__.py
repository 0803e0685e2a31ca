"""Measurements: ``python -m benchmarks``, or single cases under pytest-benchmark."""
