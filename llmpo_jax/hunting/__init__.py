"""A standing search for counterexamples to what is proven: what is searched, and how a failure is told from chance."""
