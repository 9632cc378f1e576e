"""A small HTTP/1.1 file server on asyncio streams (RFC 9110, RFC 9112): GET and HEAD, one folder only."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import html
import mimetypes
import os
import stat
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

from .services import CHUNK, Handler

# The most octets of a request line and its fields together, and of entries in a listing.
HEAD_LIMIT: Final = 1 << 14
LISTING_LIMIT: Final = 10_000
# The most octets of a request's content that is read and forgotten to keep the connection.
CONTENT_LIMIT: Final = 1 << 16


class BadRequest(Exception):
    """A request that cannot be understood; the connection is closed after the answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request's line and fields (names in lower case)."""

    method: str
    path: str
    fields: dict[str, str]
    keep_alive: bool
    content: int


@dataclass(slots=True)
class Response:
    """An answer: either ``text`` or ``count`` octets of ``file`` from ``first`` on; its file is closed after it."""

    status: HTTPStatus
    fields: dict[str, str]
    text: bytes = b""
    file: BinaryIO | None = None
    first: int = 0
    count: int = 0


def parse_request(head: bytes) -> Request:
    """Return the request of ``head`` (without the empty line); raises BadRequest."""
    try:
        lines = head.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the request line is not METHOD TARGET VERSION") from None
    if not method.isalpha():
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the method is not a word")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or not name.isascii():
            raise BadRequest(HTTPStatus.BAD_REQUEST, "a field line is not NAME: VALUE")
        name = name.lower()
        if name in ("host", "content-length") and name in fields:
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"more than one {name}")
        fields[name] = value.strip(" \t")
    if version == "HTTP/1.1" and "host" not in fields:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "no Host")
    if target.startswith(("http://", "https://")):
        path = urllib.parse.urlsplit(target).path or "/"
    else:
        path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/") or any(character <= " " or character == "\x7f" for character in path):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the target is not a path")
    options = {word.strip().lower() for word in fields.get("connection", "").split(",")}
    keep_alive = "close" not in options if version == "HTTP/1.1" else "keep-alive" in options
    content = fields.get("content-length", "0")
    if not content.isascii() or not content.isdigit() or "transfer-encoding" in fields:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "content in a request is not taken")
    return Request(method, path, fields, keep_alive, int(content))


def _error(status: HTTPStatus, detail: str = "") -> Response:
    text = f"{status.value} {status.phrase}" + (f": {detail}" if detail else "") + "\n"
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def _range(value: str, size: int) -> tuple[int, int] | None:
    """Return (first, count) of a single range of ``size`` octets, (0, 0) where it lies outside, None: ignore it."""
    unit, equals, spec = value.partition("=")
    first_text, dash, last_text = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not equals or not dash:
        return None
    if not all(text == "" or (text.isascii() and text.isdigit()) for text in (first_text, last_text)):
        return None
    if first_text:
        first = int(first_text)
        last = min(int(last_text), size - 1) if last_text else size - 1
        if last_text and int(last_text) < first:
            return None
        return (first, last - first + 1) if first < size else (0, 0)
    if not last_text:
        return None
    count = min(int(last_text), size)
    return (size - count, count)


class FileServer:
    """Answers requests from one folder; ``idle`` (seconds) bounds each wait for a request or for the reader."""

    def __init__(self, folder: Path, *, idle: float = 30.0) -> None:
        self._root = folder.resolve()
        self._idle = idle

    def respond(self, request: Request) -> Response:
        """Return the answer to ``request``."""
        if request.method not in ("GET", "HEAD"):
            response = _error(HTTPStatus.METHOD_NOT_ALLOWED)
            response.fields["Allow"] = "GET, HEAD"
            return response
        path = self._find(request.path)
        if path is None:
            return _error(HTTPStatus.NOT_FOUND)
        try:
            if not path.is_dir():
                return _error(HTTPStatus.NOT_FOUND) if request.path.endswith("/") else self._file(path, request)
            if not request.path.endswith("/"):
                # One slash only: a Location that begins with two would name another host.
                location = "/" + request.path.strip("/") + "/"
                response = _error(HTTPStatus.MOVED_PERMANENTLY)
                response.fields["Location"] = location
                return response
            index = path / "index.html"
            if index.is_file() and index.resolve().is_relative_to(self._root):
                return self._file(index, request)
            return self._listing(path, request.path)
        except OSError:
            return _error(HTTPStatus.NOT_FOUND)

    def _find(self, target: str) -> Path | None:
        """Return the file or folder of a path, None where there is none within the folder (links followed)."""
        try:
            names = urllib.parse.unquote(target, errors="surrogateescape").split("/")
            if any(name == ".." or "\0" in name for name in names):
                return None
            path = self._root.joinpath(*(name for name in names if name not in ("", "."))).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        return path if path.is_relative_to(self._root) else None

    def _file(self, path: Path, request: Request) -> Response:
        # O_NONBLOCK: opening a FIFO must not wait for its writer.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            file.close()
            return _error(HTTPStatus.NOT_FOUND)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        fields = {
            "Content-Type": kind,
            "Accept-Ranges": "bytes",
            "Last-Modified": email.utils.formatdate(facts.st_mtime, usegmt=True),
        }
        size = facts.st_size
        wanted = (
            request.fields.get("range") if request.method == "GET" and "if-range" not in request.fields else None
        )
        part = _range(wanted, size) if wanted is not None else None
        if part is None:
            return Response(HTTPStatus.OK, fields, file=file, count=size)
        first, count = part
        if not count:
            file.close()
            response = _error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            response.fields["Content-Range"] = f"bytes */{size}"
            return response
        fields["Content-Range"] = f"bytes {first}-{first + count - 1}/{size}"
        return Response(HTTPStatus.PARTIAL_CONTENT, fields, file=file, first=first, count=count)

    def _listing(self, path: Path, target: str) -> Response:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in os.scandir(path))
        title = html.escape(urllib.parse.unquote(target, errors="replace"))
        lines = [f"<!DOCTYPE html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><ul>"]
        for name in names[:LISTING_LIMIT]:
            link = urllib.parse.quote(name, errors="surrogateescape")
            lines.append(f'<li><a href="./{link}">{html.escape(name)}</a>')
        lines.append("</ul>\n")
        text = "\n".join(lines).encode("utf-8", errors="replace")
        return Response(HTTPStatus.OK, {"Content-Type": "text/html; charset=utf-8"}, text)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests in order until either side ends it."""
        keep_alive = True
        while keep_alive:
            method = "GET"
            try:
                request = await self._read(reader)
                if request is None:
                    return
                keep_alive, method = request.keep_alive, request.method
                response = self.respond(request)
            except BadRequest as error:
                keep_alive = False
                response = _error(error.status, str(error))
            except TimeoutError:
                return
            await self._send(writer, response, method, keep_alive)

    async def _read(self, reader: asyncio.StreamReader) -> Request | None:
        """Read one request; None at the peer's end. Raises BadRequest, TimeoutError."""
        async with asyncio.timeout(self._idle):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                while head.startswith(b"\r\n"):
                    # Empty lines before a request are skipped (RFC 9112 §2.2).
                    head = head[2:] or await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                if not error.partial.strip():
                    return None
                raise BadRequest(HTTPStatus.BAD_REQUEST, "the request is not complete") from None
            except asyncio.LimitOverrunError:
                raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the fields are too long") from None
            if len(head) > HEAD_LIMIT:
                raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the fields are too long")
            request = parse_request(head[:-4])
            if request.content > CONTENT_LIMIT:
                raise BadRequest(HTTPStatus(413), "content in a request is not taken")
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readexactly(request.content)
            return request

    async def _send(self, writer: asyncio.StreamWriter, response: Response, method: str, keep_alive: bool) -> None:
        length = response.count if response.file is not None else len(response.text)
        fields = {
            "Date": email.utils.formatdate(usegmt=True),
            "Content-Length": str(length),
            "Connection": "keep-alive" if keep_alive else "close",
        } | response.fields
        head = [f"HTTP/1.1 {response.status.value} {response.status.phrase}"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        octets = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
        try:
            if method == "HEAD" or response.file is None:
                writer.write(octets if method == "HEAD" else octets + response.text)
                await self._drain(writer)
                return
            writer.write(octets)
            response.file.seek(response.first)
            left = response.count
            while left:
                data = response.file.read(min(left, CHUNK))
                if not data:
                    # The file became shorter than was announced: the peer must not take the rest for whole.
                    writer.transport.abort()
                    raise ConnectionAbortedError("a file became shorter while it was sent")
                left -= len(data)
                writer.write(data)
                await self._drain(writer)
                await asyncio.sleep(0)
        finally:
            if response.file is not None:
                response.file.close()

    async def _drain(self, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._idle):
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()
            raise TimeoutError(f"the peer read nothing for {self._idle:g} s") from None


def http(folder: Path) -> Handler:
    """Return a handler that serves ``folder``."""
    return FileServer(folder)
