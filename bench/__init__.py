"""Benchmarks: `python -m bench`. They print distributions and ratios and never pass or fail."""
