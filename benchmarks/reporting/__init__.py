"""The parts of `benchmarks/report.py`: results as Markdown."""
