"""The papers' figures on data in reach: ``python -m benchmarks.paper FIGURE --dataset NAME``."""
