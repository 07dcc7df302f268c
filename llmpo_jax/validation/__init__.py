"""The claims of the theory as experiments, each with a null, a false-alarm rate and a verdict: `llmpo-jax validate`."""
