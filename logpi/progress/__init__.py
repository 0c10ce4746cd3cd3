"""What people see of a training while it goes on: a live line, plain lines, a curve, loggers."""
