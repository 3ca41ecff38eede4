"""The environment variables, read and validated: docs/spec.md, "Assumptions & Env Vars Usage"."""

from todo_backend.settings.errors import CannotStart, InvalidSettings
from todo_backend.settings.models import HINTS, Settings, TokenSettings

__all__ = ["HINTS", "CannotStart", "InvalidSettings", "Settings", "TokenSettings"]
