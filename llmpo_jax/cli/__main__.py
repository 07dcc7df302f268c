"""`python -m llmpo_jax.cli`."""

from llmpo_jax.cli import main

main()
