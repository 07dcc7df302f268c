"""What is true: divergences, characteristic times, intervals."""
