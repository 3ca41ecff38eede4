"""Hides uvloop from each Python that has this folder on its path: there is none for Windows."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


class WithoutUvloop(PathFinder):
    @classmethod
    def find_spec(cls, fullname: str, *arguments: Any, **options: Any) -> ModuleSpec | None:
        return None if fullname == "uvloop" else super().find_spec(fullname, *arguments, **options)


sys.meta_path = [WithoutUvloop if finder is PathFinder else finder for finder in sys.meta_path]
