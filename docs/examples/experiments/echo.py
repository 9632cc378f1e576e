"""Each end numbers the segments that it sends, and sends back the last number that it heard.

edotun serve echo --addr 10.9.0.2/24 --host 10.9.0.1 --experiment echo.py --json
"""

from construct import Int32ub, Struct

import edotun


def send(view):
    view.state["sent"] = view.state.get("sent", 0) + 1
    return {"number": view.state["sent"], "heard": view.state.get("heard", 0)}


def receive(view, fields):
    view.state["heard"] = max(fields["number"], view.state.get("heard", 0))
    view.state["back"] = max(fields["heard"], view.state.get("back", 0))


echo = edotun.experiment(
    "echo",
    Struct("number" / Int32ub, "heard" / Int32ub),
    exid=0xE0C0,
    most=8,
    send=send,
    receive=receive,
    every=True,
)
