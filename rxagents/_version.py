"""The version, apart from `__init__` so that the package's own modules can import it."""

__version__ = "0.2.0"
