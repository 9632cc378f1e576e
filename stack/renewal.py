"""When agreed keys are made anew (profile.md §7, Rekeying)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Renewal:
    """After how long a connection's keys are replaced, and how long they may last.

    ``seconds`` of use (above 0), or ``octets`` in either direction (1 and more), whichever comes first; at ``most``
    octets in either direction without a new key the connection is aborted (``octets`` to 2^40). Raises ValueError.
    """

    seconds: float = 3600.0
    octets: int = 1 << 36
    most: int = 1 << 40

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"rekey: {self.seconds:g} seconds are not above 0")
        if self.octets < 1:
            raise ValueError(f"rekey: {self.octets} octets are less than 1")
        if not self.octets <= self.most <= 1 << 40:
            raise ValueError(f"rekey: a limit of {self.most} octets is not in {self.octets} to 2^40")

    @classmethod
    def parse(cls, text: str) -> Renewal | None:
        """Return what ``seconds=N,octets=N,most=N`` says, each of the three optional, or None for ``off``.

        Raises ValueError naming the part that is none.
        """
        if text == "off":
            return None
        given: dict[str, str] = {}
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            if not equals or name not in ("seconds", "octets", "most") or name in given:
                raise ValueError(f"rekey: {part!r} is not off, seconds=N, octets=N or most=N")
            given[name] = value
        try:
            seconds = float(given.get("seconds", DEFAULT.seconds))
            octets, most = int(given.get("octets", DEFAULT.octets)), int(given.get("most", DEFAULT.most))
        except ValueError:
            raise ValueError(f"rekey: {text!r} has a value that is no number") from None
        return cls(seconds, octets, most)


DEFAULT = Renewal()
