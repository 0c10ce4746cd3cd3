"""The version, which the package's front door and what writes files both need."""

__version__ = "0.1.0"
