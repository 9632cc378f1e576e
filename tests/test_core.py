"""Which form of the core is imported, and that the list of compiled modules can be compiled."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import edotun_core
from edotun_core import Finder, choose, folder_of, sources_of
from tools.compiled.modules import names, path_of

ROOT = Path(__file__).parent.parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three packages and the record of a core that was built of them."""
    for package in edotun_core.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "one.py").write_text("VALUE = 1\n")
    folder = folder_of(tmp_path)
    folder.mkdir(parents=True)
    record = {
        "shared": "none__mypyc",
        "modules": {"ao.one": "ao/one" + edotun_core.SUFFIX},
        "sources": sources_of(tmp_path),
    }
    (folder / "record.json").write_text(json.dumps(record))
    return tmp_path


@pytest.mark.parametrize("asked", ["auto", "compiled"])
def test_a_core_of_these_sources_is_used(root: Path, asked: str) -> None:
    assert isinstance(choose(asked, root), Finder)


def test_plain_is_plain(root: Path) -> None:
    assert choose("plain", root) is None


def _change(root: Path) -> None:
    (root / "stack" / "one.py").write_text("VALUE = 2\n")


def _add(root: Path) -> None:
    (root / "stack" / "two.py").write_text("")


def _remove(root: Path) -> None:
    (root / "edo" / "one.py").unlink()


def _same_size_and_time(root: Path) -> None:
    path = root / "ao" / "one.py"
    times = path.stat()
    path.write_text("VALUE = 3\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("alter", [_change, _add, _remove, _same_size_and_time])
def test_a_core_of_other_sources_is_not_used(root: Path, alter: object) -> None:
    """Whether a compiled module's own source differs or another's: constants of both are in the compiled code."""
    assert callable(alter)
    alter(root)
    with pytest.warns(RuntimeWarning, match=r"of other sources \(\w+/\w+\.py and 0 more differ\) and is not used"):
        assert choose("auto", root) is None
    with pytest.raises(ImportError, match=r"of other sources .*: make compiled builds it anew"):
        choose("compiled", root)


@pytest.mark.parametrize("record", [None, "", "{"])
def test_a_build_that_did_not_end_is_none(root: Path, record: str | None) -> None:
    path = folder_of(root) / "record.json"
    path.unlink()
    if record is not None:
        path.write_text(record)
    assert choose("auto", root) is None
    with pytest.raises(ImportError, match="there is no compiled core: make compiled"):
        choose("compiled", root)


def test_a_form_that_is_none_is_named() -> None:
    with pytest.raises(ImportError, match="EDOTUN_CORE: 'fast' is not one of auto, plain, compiled"):
        choose("fast")


def test_the_form_that_was_asked_for_is_the_one_that_is_imported() -> None:
    code = "import edotun_core, stack.host; print(edotun_core.FORM, stack.host.__file__.endswith('.py'))"
    environment = {**os.environ, "EDOTUN_CORE": "plain", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["plain", "True"]
    if edotun_core.FORM == "compiled":
        import stack.host

        assert not str(stack.host.__file__).endswith(".py")


# --- the list ------------------------------------------------------------------------------------------------


def test_the_list_names_modules_that_there_are_and_each_once() -> None:
    listed = names()
    assert len(set(listed)) == len(listed)
    assert [name for name in listed if not (ROOT / path_of(name)).is_file()] == []
    assert {name.partition(".")[0] for name in listed} == set(edotun_core.PACKAGES)


@cache
def _classes() -> dict[tuple[str, str], ast.ClassDef]:
    found = {}
    for package in (*edotun_core.PACKAGES, "tun", "tools"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found[module, node.name] = node
    return found


@cache
def _origins(module: str) -> dict[str, tuple[str, str]]:
    """Where the names that a module imports come from."""
    origins = {}
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse((ROOT / path_of(module)).read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            origins.update({alias.asname or alias.name: (origin, alias.name) for alias in node.names})
    return origins


def test_no_class_of_the_sources_derives_from_a_compiled_one_that_does_not_allow_it() -> None:
    """And none that is compiled from one of the sources, but for protocols and exceptions."""
    compiled = set(names())
    classes = _classes()
    faults = []
    for (module, name), node in classes.items():
        origins = _origins(module)
        for base in node.bases:
            plain = base.value if isinstance(base, ast.Subscript) else base
            origin = origins.get(plain.id) if isinstance(plain, ast.Name) else None
            if origin not in classes:
                continue
            if module not in compiled and origin[0] in compiled:
                if "allow_interpreted_subclasses" not in "".join(map(ast.unparse, classes[origin].decorator_list)):
                    faults.append(f"{module}.{name} is not compiled and derives from {'.'.join(origin)}, which is")
            elif module in compiled and origin[0] not in compiled:
                protocol = any("Protocol" in ast.unparse(one) for one in node.bases)
                if not protocol:
                    faults.append(f"{module}.{name} is compiled and derives from {'.'.join(origin)}, which is not")
    assert faults == []


def test_what_users_register_may_derive_from_compiled_classes() -> None:
    for module, name in (
        ("stack.congestion.base", "CongestionControl"),
        ("stack.recovery.base", "LossRecovery"),
        ("stack.recovery.rack", "Rack"),
    ):
        decorators = "".join(map(ast.unparse, _classes()[module, name].decorator_list))
        assert "allow_interpreted_subclasses=True" in decorators


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_two_modules_are_compiled_and_imported_and_left_alone_when_one_changes(tmp_path: Path) -> None:
    for package in edotun_core.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("import edotun_core as _core\n")
    (tmp_path / "ao" / "one.py").write_text("from typing import Final\n\nVALUE: Final = 7\n")
    (tmp_path / "ao" / "two.py").write_text("from ao.one import VALUE\n\n\ndef f() -> int:\n    return VALUE\n")
    shutil.copy(ROOT / "edotun_core.py", tmp_path)
    build = (
        "import edotun_core, pathlib, tools.compiled.build as b;"
        f"b.build(pathlib.Path({str(tmp_path)!r}), ['ao.one', 'ao.two'], 2)"
    )

    def run(code: str, path: Path, form: str) -> str:
        environment = {**os.environ, "EDOTUN_CORE": form, "PYTHONPATH": str(path), "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run(build, ROOT, "plain")
    told = "import ao.two as t, edotun_core as c; print(c.FORM, t.f(), t.__file__.endswith('.py'))"
    assert run(told, tmp_path, "compiled") == "compiled 7 False"
    (tmp_path / "ao" / "one.py").write_text("from typing import Final\n\nVALUE: Final = 8\n")
    assert run(told, tmp_path, "auto") == "plain 8 True"
