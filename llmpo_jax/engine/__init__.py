"""The Monte Carlo engine: runs any procedure on any instance, many replications at once."""
