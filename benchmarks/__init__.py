"""Measurements that take too long for tests: each a command that writes the table it is quoted from."""
