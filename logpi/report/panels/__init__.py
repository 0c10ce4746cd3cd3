"""The parts of a report: each turns runs into charts."""
