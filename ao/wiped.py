"""What stands in the place of a prepared cryptographic object once its connection is over."""

from __future__ import annotations

from typing import NoReturn

from .octets import Octets


class KeysWiped(RuntimeError):
    """A key was used after the connection that it belonged to had forgotten it."""


class WipedContext:
    """Answers every use with KeysWiped; stands for a MAC context and for a cipher context alike.

    Python gives no way to overwrite the octets inside a prepared object: wiping drops the last reference, and the
    library clears the memory as it frees it.
    """

    __slots__ = ()

    def _refuse(self) -> NoReturn:
        raise KeysWiped("the keys of this connection have been wiped")

    def copy(self) -> NoReturn:
        self._refuse()

    def update(self, data: Octets, /) -> NoReturn:
        self._refuse()

    def finalize(self) -> NoReturn:
        self._refuse()

    def reset_nonce(self, nonce: bytes, /) -> NoReturn:
        self._refuse()


WIPED = WipedContext()
