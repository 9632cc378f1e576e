"""The keys of a connection that agreed on them: generations that only go forward (profile.md §7, Rekeying)."""

from __future__ import annotations

from collections.abc import Callable

from .keys import Key, KeyRing


class GenerationRing(KeyRing):
    """Keys by generation, of which KeyID and RNextKeyID have the last 8 bits.

    Unlike RFC 5925 §7.5 there is no way back: an RNextKeyID older than the current key, or in a segment under an
    older key than the newest that was heard, changes nothing. ``changed`` is called when a good segment says
    something new.
    """

    __slots__ = ("changed",)

    def __init__(self, first: Key) -> None:
        self.changed: Callable[[], None] | None = None
        super().__init__(first)

    @property
    def generations(self) -> dict[int, int]:
        """The generation of each key by its KeyID."""
        return {key.send_id: key.generation for key in self}

    @property
    def sending(self) -> int:
        """The generation that signs."""
        return self.current.generation

    @property
    def newest_heard(self) -> int:
        """The newest generation of which a good segment came; -1 before the first."""
        return -1 if self.heard is None else self.heard.generation

    @property
    def agreed(self) -> bool:
        """Whether KeyID and RNextKeyID, ours and the last ones received, are all equal."""
        current = self.current
        return current is self.rnext is self.heard and self.heard_rnext == current.send_id

    def generation_of(self, key: Key) -> int:
        """The generation of a key of this ring."""
        return key.generation

    def announce(self, key: Key, generation: int) -> None:
        """Accept and ask for ``key``, and look again at what the peer asked for last. Raises ValueError."""
        self.add(key)
        key.generation = generation
        self.rnext = key
        self._follow()

    def give_up(self, generation: int) -> None:
        """Forget the key of ``generation``; raises ValueError while it signs or is asked for."""
        self.remove(generation & 0xFF)

    def retract(self) -> bool:
        """Forget the key that is asked for, unless this side signs under it already; whether it is forgotten."""
        if self.rnext is self.current:
            return False
        refused, self.rnext = self.rnext, self.current
        self.give_up(self.generation_of(refused))
        return True

    def learn(self, key: Key, rnext_key_id: int) -> None:
        if key is self.heard and rnext_key_id == self.heard_rnext:
            return
        if key.generation < self.newest_heard:
            return
        self.heard = key
        self.heard_rnext = rnext_key_id
        self._follow()
        if self.changed is not None:
            self.changed()

    def _follow(self) -> None:
        asked = self._sends(self.heard_rnext)
        if asked is not None and asked.generation > self.sending:
            self.current = asked
