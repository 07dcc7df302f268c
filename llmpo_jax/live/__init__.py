"""Live experiments: LLM-PO on real policies and a real judge."""
