"""Facts cite RFC 9110 (semantics) and RFC 9112 (HTTP/1.1)."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.tools.loopback import bounded
from tools.http import HEAD_LIMIT, FileServer
from tools.pattern import pattern

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "page").mkdir()
    (root / "file.bin").write_bytes(pattern(0, 1_000_003))
    (root / "empty").touch()
    (root / "a <b>&.txt").write_text("odd name")
    (root / "page" / "index.html").write_text("<p>index")
    (tmp_path / "secret").write_text("outside")
    (root / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "fifo")
    return root


async def _answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:-2])
    fields = {name.lower(): value for name, value in pairs}
    body = b"" if method == "HEAD" else await reader.readexactly(int(fields["content-length"]))
    return int(head[0].split()[1]), fields, body


def ask(folder: Path, *requests: bytes, idle: float = 10.0, finish: bool = True) -> tuple[list[Answer], bytes]:
    """Send ``requests`` in one go over loopback; returns the answers and what follows them up to the end."""

    async def main() -> tuple[list[Answer], bytes]:
        handler = FileServer(folder, idle=idle)
        done: list[asyncio.Task[None]] = []

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            done.append(task)
            await handler(reader, writer)
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"".join(requests))
            if finish:
                writer.write_eof()
            answers = [await _answer(reader, request.split(b" ")[0].decode("latin-1")) for request in requests]
            rest = await reader.read(-1)
            writer.close()
            await asyncio.gather(*done)
        return answers, rest

    result: tuple[list[Answer], bytes] = bounded(main())
    return result


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: x", *fields, "", "")).encode()


def status(folder: Path, request: bytes) -> int:
    return ask(folder, request)[0][0][0]


def test_a_file_whole(folder: Path) -> None:
    [(code, fields, body)], rest = ask(folder, get("/file.bin"))
    assert (code, body, rest) == (200, pattern(0, 1_000_003), b"")
    assert fields["content-length"] == "1000003"


def test_connection_goes_on(folder: Path) -> None:
    answers, rest = ask(folder, get("/empty"), get("/nothing"), get("/file.bin", method="HEAD"), get("/empty"))
    assert [code for code, _, _ in answers] == [200, 404, 200, 200]
    assert answers[2][1]["content-length"] == "1000003"
    assert rest == b""


def test_close_is_obeyed(folder: Path) -> None:
    """RFC 9112 §9.6: nothing is answered after "close"; HTTP/1.0 closes unless asked to stay (§9.3)."""
    answers, rest = ask(folder, get("/empty", "Connection: close"), finish=False)
    assert answers[0][1]["connection"] == "close"
    assert rest == b""
    assert ask(folder, get("/empty", version="1.0"), finish=False)[0][0][1]["connection"] == "close"


@pytest.mark.parametrize(
    ("spec", "first", "last"),
    [("0-0", 0, 0), ("10-19", 10, 19), ("1000000-", 1_000_000, 1_000_002), ("-5", 999_998, 1_000_002),
     ("999999-5000000", 999_999, 1_000_002)],
)  # fmt: skip
def test_a_range(folder: Path, spec: str, first: int, last: int) -> None:
    """RFC 9110 §14.1.2, §15.3.7."""
    [(code, fields, body)], _ = ask(folder, get("/file.bin", f"Range: bytes={spec}"))
    assert code == 206
    assert fields["content-range"] == f"bytes {first}-{last}/1000003"
    assert body == pattern(first, last - first + 1)


def test_a_range_outside(folder: Path) -> None:
    """RFC 9110 §15.5.17."""
    [(code, fields, _)], _ = ask(folder, get("/file.bin", "Range: bytes=1000003-"))
    assert (code, fields["content-range"]) == (416, "bytes */1000003")


@pytest.mark.parametrize("value", ["lines=1-2", "bytes=5-1", "bytes=a-b", "bytes=0-1,4-5", "bytes"])
def test_a_range_that_means_nothing_is_ignored(folder: Path, value: str) -> None:
    """RFC 9110 §14.2."""
    assert status(folder, get("/file.bin", f"Range: {value}")) == 200


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/%2e%2e/secret", "/sub/..%2f../secret", "/link", "/..", "//etc/passwd", "/sub/../../secret",
     "/fifo", "/file.bin/", "/%00", "/empty/x", "/" + "a" * 5000],
)  # fmt: skip
def test_nothing_but_the_folders_files(folder: Path, path: str) -> None:
    assert status(folder, get(path)) == 404


def test_folders(folder: Path) -> None:
    [(code, fields, _)], _ = ask(folder, get("/sub"))
    assert (code, fields["location"]) == (301, "/sub/")
    assert ask(folder, get("/page/"))[0][0][2] == b"<p>index"
    [(code, fields, body)], _ = ask(folder, get("/"))
    assert code == 200
    assert b'<a href="./a%20%3Cb%3E%26.txt">a &lt;b&gt;&amp;.txt</a>' in body
    assert b'<a href="./sub/">' in body
    assert ask(folder, get("/a%20%3Cb%3E%26.txt?query#part"))[0][0][2] == b"odd name"


def test_a_redirect_stays_here(folder: Path) -> None:
    """A Location that begins with two slashes is another host's (RFC 3986 §4.2)."""
    assert ask(folder, get("//sub"))[0][0][1]["location"] == "/sub/"


def test_other_methods(folder: Path) -> None:
    """RFC 9110 §15.5.6: Allow is required."""
    [(code, fields, _)], _ = ask(folder, get("/empty", "Content-Length: 0", method="POST"))
    assert (code, fields["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET empty HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /a\nb HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * HEAD_LIMIT + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x", 400),
    ],
)
def test_bad_requests_are_answered_and_the_connection_closed(folder: Path, request_: bytes, code: int) -> None:
    [(status_, fields, _)], rest = ask(folder, request_)
    assert (status_, fields["connection"], rest) == (code, "close", b"")


def test_whoever_says_nothing_is_left(folder: Path) -> None:
    assert ask(folder, idle=0.01, finish=False) == ([], b"")
