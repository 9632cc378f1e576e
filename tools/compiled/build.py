"""Compile the core by mypyc: ``python -m tools.compiled.build``.

mypyc writes C of the modules that ``modules`` names, a C compiler makes one shared library of it with a small file
for each module, and a record says of which sources. What was compiled before is kept where its C has not changed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import edotun_core

from .modules import names, path_of

LEVEL: Final = "2"


def build(root: Path, modules: list[str], jobs: int) -> Path:
    """Compile ``modules`` of the sources under ``root``, ``jobs`` files at a time; the folder where they are.

    Raises ImportError without mypy or setuptools; SystemExit, one line, where mypyc or the C compiler fails.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    folder = edotun_core.folder_of(root)
    (folder / "record.json").unlink(missing_ok=True)
    sources = edotun_core.sources_of(root)
    work = folder / "c"
    os.chdir(root)
    extensions: list[Any] = mypycify(
        ["--strict", *(str(path_of(name)) for name in modules)],
        opt_level=LEVEL,
        debug_level="0",
        multi_file=True,
        target_dir=str(work),
        group_name="edotun",
    )

    class Build(build_ext):  # type: ignore[misc]
        """Compiles the files of an extension at the same time, and only those that have changed."""

        def build_extensions(self) -> None:
            self.compiler.compile = _several(self.compiler, jobs)
            super().build_extensions()

    command = Build(Distribution({"name": "edotun-core", "ext_modules": extensions}))
    command.build_lib = str(folder)
    command.build_temp = str(work)
    command.ensure_finalized()
    command.run()
    shared = next(extension.name for extension in extensions if extension.name.endswith("__mypyc"))
    suffix = edotun_core.SUFFIX
    files = {name: str(Path(*name.split("."))) + suffix for name in modules}
    record = {"shared": shared, "modules": files, "sources": sources}
    (folder / "record.json").write_text(json.dumps(record, indent=1))
    return folder


def _several(compiler: Any, jobs: int) -> Any:
    """A distutils compiler's ``compile``: ``jobs`` files at a time, and none that is newer than its sources."""

    def compile_all(
        sources: list[str],
        output_dir: str | None = None,
        macros: Any = None,
        include_dirs: Any = None,
        debug: bool = False,
        extra_preargs: Any = None,
        extra_postargs: Any = None,
        depends: Any = None,
    ) -> list[str]:
        macros, objects, extra_postargs, options, todo = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        arguments = compiler._get_cc_args(options, debug, extra_preargs)
        newest = max((Path(file).stat().st_mtime for file in depends or ()), default=0.0)

        def one(thing: str) -> None:
            source, extension = todo[thing]
            made = Path(thing)
            if made.exists() and made.stat().st_mtime > max(newest, Path(source).stat().st_mtime):
                return
            compiler._compile(thing, source, extension, arguments, extra_postargs, options)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, [thing for thing in objects if thing in todo]))
        done: list[str] = objects
        return done

    return compile_all


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.compiled.build", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at the same time")
    parser.add_argument("--remove", action="store_true", help="remove what was built")
    given = parser.parse_args()
    folder = edotun_core.folder_of()
    if given.remove:
        shutil.rmtree(folder.parent, ignore_errors=True)
        return
    build(edotun_core.ROOT, names(), given.jobs)
    print(f"compiled: {len(names())} modules in {folder}")


if __name__ == "__main__":
    main()
