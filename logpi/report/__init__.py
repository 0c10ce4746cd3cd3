"""What people see of a run: its progress, its curve, its numbers."""
