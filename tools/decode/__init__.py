"""``edotun decode``: what every octet of a segment's header means, and where it is wrong."""
