"""Which form of ``ao``, ``edo`` and ``stack`` is imported: the compiled core, or the sources.

``make compiled`` (``tools.compiled``) compiles the modules on the way of packets and handshakes into the folder
``build`` and records of which sources it did. The compiled modules are imported only while all sources of the three
packages are those: compiled code has taken over constants and layouts from them, so a mixture could be wrong
without failing. Otherwise the sources are imported, which say the same and need no compiler.

The environment variable EDOTUN_CORE decides: ``auto`` (or nothing) as above, ``plain``: the sources in any case,
``compiled``: ImportError where there is no compiled core of these sources.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import warnings
from collections.abc import Sequence
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent
PACKAGES: Final = ("ao", "edo", "stack")
FORMS: Final = ("auto", "plain", "compiled")
SUFFIX: Final[str] = sysconfig.get_config_var("EXT_SUFFIX")


def folder_of(root: Path = ROOT) -> Path:
    """Where the compiled core of the sources under ``root`` is, for the interpreter that runs."""
    return root / "build" / "compiled" / SUFFIX.strip(".").partition(".")[0]


def sources_of(root: Path = ROOT) -> dict[str, str]:
    """A hash of each source file of the three packages, by its path from ``root``."""
    return {
        path.relative_to(root).as_posix(): blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }


def recorded(folder: Path) -> dict[str, Any]:
    """What ``tools.compiled`` recorded of the core in ``folder``; empty where no build of one has ended."""
    try:
        record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError):
        return {}
    return record


class Finder(MetaPathFinder):
    """Finds the compiled modules of ``record``, which lie in ``folder``; all other modules are found as ever."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self._folder = folder
        self._modules: dict[str, str] = record["modules"]
        self._shared: str = record["shared"]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._modules.get(fullname)
        if file is None:
            return None
        if self._shared not in sys.modules:
            # The modules' own files are small and take their code from this one, by its name.
            self._import_shared()
        where = str(self._folder / file)
        return spec_from_file_location(fullname, where, loader=ExtensionFileLoader(fullname, where))

    def _import_shared(self) -> None:
        where = str(self._folder / (self._shared + SUFFIX))
        loader = ExtensionFileLoader(self._shared, where)
        spec = spec_from_file_location(self._shared, where, loader=loader)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules[self._shared] = module
        loader.exec_module(module)


def choose(asked: str, root: Path = ROOT) -> Finder | None:
    """What finds the compiled modules, None where the sources are to be imported.

    Raises ImportError for a form that is none, and where ``asked`` insists on a compiled core that cannot be had.
    """
    if asked not in FORMS:
        raise ImportError(f"EDOTUN_CORE: {asked!r} is not one of {', '.join(FORMS)}")
    if asked == "plain":
        return None
    folder = folder_of(root)
    record = recorded(folder)
    if not record:
        if asked == "compiled":
            raise ImportError("there is no compiled core: make compiled builds it")
        return None
    sources = sources_of(root)
    if record.get("sources") != sources:
        was = record.get("sources", {})
        changed = sorted(path for path in {*was, *sources} if was.get(path) != sources.get(path))
        fault = f"the compiled core is of other sources ({changed[0]} and {len(changed) - 1} more differ)"
        if asked == "compiled":
            raise ImportError(f"{fault}: make compiled builds it anew")
        warnings.warn(f"{fault} and is not used; make compiled builds it anew", RuntimeWarning, stacklevel=2)
        return None
    return Finder(folder, record)


FINDER: Final = choose(os.environ.get("EDOTUN_CORE") or "auto")
if FINDER is not None:
    sys.meta_path.insert(0, FINDER)

FORM: Final = "plain" if FINDER is None else "compiled"
"""The form that was imported."""
