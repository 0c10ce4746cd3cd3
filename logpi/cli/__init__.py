"""The commands. `main` is quick to import; each command imports what it needs when it runs."""
