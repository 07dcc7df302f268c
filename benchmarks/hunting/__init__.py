"""The parts of `benchmarks/hunt.py`: what is searched, and how a failure is told from chance."""
