"""Imports go one way: tools -> tun -> stack -> edo and ao, and no module imports itself by a detour."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
BELOW = {
    "tools": {"tools", "tun", "stack", "edo", "ao"},
    "tun": {"tun", "stack", "edo", "ao"},
    "stack": {"stack", "edo", "ao"},
    "edo": {"edo"},
    "ao": {"ao"},
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for name in BELOW for path in (ROOT / name).rglob("*.py")}


def imported(module: str) -> set[str]:
    """The project's modules that a module imports, those for type checking alone too."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{origin}.{alias.name}" for alias in node.names)
            found.add(origin)
    return {name for name in found if name in MODULES and name != module}


def test_no_import_goes_up() -> None:
    for module in MODULES:
        top = module.partition(".")[0]
        up = {name for name in imported(module) if name.partition(".")[0] not in BELOW[top]}
        assert not up, f"{module} imports {up}"


def test_only_the_adapters_know_asyncio_sockets_or_clocks() -> None:
    """Sans-IO: time, randomness and packets are passed in."""
    forbidden = {"asyncio", "socket", "time", "threading", "select", "secrets", "os"}
    free = ("stack.aio", "stack.sockets")
    for module, path in MODULES.items():
        if module.partition(".")[0] in ("stack", "edo", "ao") and not module.startswith(free):
            names = {
                name.name.partition(".")[0]
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Import)
                for name in node.names
            }
            # A keys file is read, and its permissions looked at, before there is any stack.
            assert not names & forbidden or module == "ao.keyfile", f"{module}: {names & forbidden}"


def test_no_circles() -> None:
    """Depth-first through all imports; a package's own ``__init__`` counts as a module of its own."""
    graph = {module: imported(module) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for name in sorted(graph[module]):
            visit(name, (*path, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_files_stay_small() -> None:
    long = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: lines for module, lines in long.items() if lines > 430} == {}
