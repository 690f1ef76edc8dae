"""TOML files that are read with an eye on where in them things stand."""

from .files import TomlFile, read_toml

__all__ = ["TomlFile", "read_toml"]
