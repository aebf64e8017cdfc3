"""The version of convjit; a module of its own, so that whoever needs it does not import the whole package's face."""

from __future__ import annotations

__version__ = "0.1.0"
