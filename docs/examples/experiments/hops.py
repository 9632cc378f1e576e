"""64 octets in every segment of data: when it was sent, and places in which hops on the way write when it passed.

The sender fills the first of seven places, hops the others. A hop alters the segment, so nothing may be signed.
"""

from itertools import pairwise

from construct import Array, Int16ub, Int64ub, Struct

import edotun

PLACES = 7
fields = Struct(
    "version" / Int16ub,
    "used" / Int16ub,
    "places" / Array(PLACES, Int64ub),  # nanoseconds
)
delays = []


def send(view):
    now = round(view.now * 1e9)
    return {"version": 1, "used": 1, "places": [now] + [0] * (PLACES - 1)}


def receive(view, fields):
    times = [*fields["places"][: fields["used"]], round(view.now * 1e9)]
    delays.append([later - earlier for earlier, later in pairwise(times)])


# 4 octets of Kind, Length and ExID, 60 of the fields.
hops = edotun.experiment("hops", fields, exid=0x4045, most=60, send=send, receive=receive, on=("data",), every=True)
