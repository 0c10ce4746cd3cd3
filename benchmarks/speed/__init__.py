"""Speed of logpi against its peers: `python -m benchmarks.speed`."""
