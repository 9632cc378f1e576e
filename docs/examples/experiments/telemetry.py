"""Once in a second 1,000 octets about the sender: more than one option holds, far more than fits without EDO."""

import json

from construct import Bytes, Int16ub, Struct, this

import edotun

MOST = 998
received = []


def send(view):
    if view.now < view.state.get("next", 0.0):
        return None
    view.state["next"] = view.now + 1.0
    view.state["number"] = view.state.get("number", 0) + 1
    report = {"number": view.state["number"], "at": round(view.now, 3), "role": view.role}
    return {"length": MOST, "report": json.dumps(report).encode().ljust(MOST)}


def receive(view, fields):
    received.append(json.loads(fields["report"]))


telemetry = edotun.experiment(
    "telemetry",
    Struct("length" / Int16ub, "report" / Bytes(this.length)),
    exid=0x7E1E,
    most=2 + MOST,
    send=send,
    receive=receive,
)
