"""Ways in which the small Hub of the tests fails."""

from __future__ import annotations

import time
from collections.abc import Callable

from hub_handler import Handler


def status(code: int, **headers: str) -> Callable[[Handler], bool]:
    """That status instead of an answer."""

    def act(handler: Handler) -> bool:
        handler.fail(code, **headers)
        return False

    return act


def html(handler: Handler) -> bool:
    """A login page of the network, to whatever is asked."""
    handler.send(200, b"<html>please log in</html>", Content_Type="text/html")
    return False


def content(change: Callable[[bytes], bytes], *, promise: int | None = None) -> Callable[[Handler], bool]:
    """All as usual, but the body is another one; promise: the length that is announced, where it is not its own."""

    def act(handler: Handler) -> bool:
        send = handler.send

        def other(code: int, body: bytes = b"", **headers: str) -> None:
            if code != 200:
                send(code, body, **headers)
                return
            changed = change(body)
            handler.send_response(code)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(changed) if promise is None else promise))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(changed)
            handler.close_connection = True

        handler.send = other  # type: ignore[method-assign]
        return True

    return act


def hang_up(times: int) -> Callable[[Handler], bool]:
    """No word, and the connection closed, so many times."""
    left = [times]

    def act(handler: Handler) -> bool:
        left[0] -= 1
        handler.close_connection = left[0] >= 0
        return left[0] < 0

    return act


def hang(handler: Handler) -> bool:
    """Never an answer."""
    handler.server.ended.wait(30)
    return False


def trickle(pieces: int, pause: float, *, last: bool = True) -> Callable[[Handler], bool]:
    """The body in pieces with a pause before each; without the last one, the connection stays open and says no more."""

    def act(handler: Handler) -> bool:
        send = handler.send

        def slowly(code: int, body: bytes = b"", **headers: str) -> None:
            if code != 200 or handler.command == "HEAD":
                send(code, body, **headers)
                return
            handler.send_response(code)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            size = -(-len(body) // pieces)
            parts = [body[i : i + size] for i in range(0, len(body), size)]
            for part in parts if last else parts[:-1]:
                time.sleep(pause)
                handler.wfile.write(part)
            if not last:
                handler.server.ended.wait(30)

        handler.send = slowly  # type: ignore[method-assign]
        return True

    return act
