import asyncio
import os
from pathlib import Path

import pytest

from tests.tools.loopback import bounded
from tools.pattern import pattern
from tools.stdio import Output, read_chunks


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(pattern(0, 3_000_000))

    async def main() -> bytes:
        descriptor = os.open(tmp_path / "in", os.O_RDONLY)
        try:
            return b"".join([data async for data in read_chunks(descriptor)])
        finally:
            os.close(descriptor)

    assert bounded(main()) == pattern(0, 3_000_000)


def test_a_pipe_both_ways() -> None:
    """More than a pipe holds: the writer waits for the reader, and the loop goes on."""

    async def main() -> bytes:
        reading, writing = os.pipe()

        async def write() -> None:
            output = Output(writing)
            for position in range(0, 1_000_000, 100_000):
                await output.write(pattern(position, 100_000))
            output.close()
            os.close(writing)

        task = asyncio.ensure_future(write())
        got = b"".join([data async for data in read_chunks(reading)])
        await task
        os.close(reading)
        return got

    assert bounded(main()) == pattern(0, 1_000_000)


def test_nobody_reads_any_more() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        os.close(reading)
        output = Output(writing)
        with pytest.raises(BrokenPipeError):
            await output.write(b"x")
        output.close()
        os.close(writing)

    bounded(main())


def test_a_descriptor_that_cannot_be_read() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        with pytest.raises(OSError, match="Bad file descriptor"):
            async for _ in read_chunks(writing):
                pass
        os.close(reading)
        os.close(writing)

    bounded(main())


def test_the_program_ends_while_standard_input_is_silent() -> None:
    reading, writing = os.pipe()

    async def main() -> None:
        chunks = read_chunks(reading)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(chunks)

    bounded(main())
    # The thread still reads: end it.
    os.close(writing)
