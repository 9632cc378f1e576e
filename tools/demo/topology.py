"""The demonstration's network: two ends, each with its own TUN, and a router between them.

    client                            router                           server
    edotun0 10.81.0.1 | 10.81.0.2     client0 10.80.1.1                edotun0 10.82.0.1 | 10.82.0.2
    router0 10.80.1.2 ----------------'     server0 10.80.2.1 -------- router0 10.80.2.2

The stacks own 10.81.0.2 and 10.82.0.2; each end's kernel routes between its TUN and its link to the router.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tun.netns import Namespace, join

from ..namespaces import own_namespaces
from ..offloads import leave_finished

PREFIX: Final = "edotun-demo-"
CLIENT_STACK: Final = "10.81.0.2"
CLIENT_HOST: Final = "10.81.0.1"
SERVER_STACK: Final = "10.82.0.2"
SERVER_HOST: Final = "10.82.0.1"


@dataclass(frozen=True, slots=True)
class Topology:
    """The three namespaces, ready for the two gateways."""

    client: Namespace
    router: Namespace
    server: Namespace


@contextmanager
def topology() -> Iterator[Topology]:
    """Make the namespaces, links and routes, and remove them at the end."""
    with own_namespaces(PREFIX, ("client", "router", "server")) as (client, router, server):
        join(client, "router0", router, "client0")
        join(server, "router0", router, "server0")
        router.add_addresses("client0", "10.80.1.1/24")
        router.add_addresses("server0", "10.80.2.1/24")
        client.add_addresses("router0", "10.80.1.2/24")
        server.add_addresses("router0", "10.80.2.2/24")
        client.add_route("default", via="10.80.1.1")
        server.add_route("default", via="10.80.2.1")
        router.add_route("10.81.0.0/24", via="10.80.1.2")
        router.add_route("10.82.0.0/24", via="10.80.2.2")
        for one in (client, router, server):
            one.forward()
        for one in (client, server):
            # The router is to see what a wire would have.
            one.call(lambda: leave_finished("router0"))
        yield Topology(client, router, server)
