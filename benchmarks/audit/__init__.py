"""Whether the audits call correct code wrong, and whether they find every planted bug: `python -m benchmarks.audit`."""
