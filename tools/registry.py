"""Registry: things found by name, the project's own and those of a user's file."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

# What a command line can name without quotes, and lists of KEY=VALUE can hold.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/:-]*")


class Registry(Mapping[str, T], Generic[T]):
    """What is registered as ``what`` ("attack"), by name, in the order of registration.

    ``package`` holds the project's own, each of its modules registering some; it is imported when something is
    looked up first.
    """

    def __init__(self, what: str, package: str | None = None) -> None:
        self.what = what
        self._package = package
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> None:
        """Register ``entry``. Raises ValueError, one line, for a name that is taken or none."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{self.what}: {name!r} is no name: letters, digits and . _ + / : - make one")
        if name in self._own():
            raise ValueError(f"{self.what}: {name!r} exists already")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Forget an entry; KeyError where there is none."""
        del self._entries[name]

    def find(self, name: str) -> T:
        """The entry of this name. Raises ValueError, one line with all names."""
        try:
            return self[name]
        except KeyError:
            raise ValueError(f"{self.what}: {name!r} is not one of {', '.join(self)}") from None

    def _own(self) -> dict[str, T]:
        # Modules of the package register while they are imported, and look nothing up.
        package, self._package = self._package, None
        if package is not None:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                importlib.import_module(f"{package}.{module.name}")
        return self._entries

    def __getitem__(self, name: str) -> T:
        return self._own()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._own())

    def __len__(self) -> int:
        return len(self._own())
