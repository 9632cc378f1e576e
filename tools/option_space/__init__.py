"""``edotun options``: what a set of options looks like on the wire under each method of finding room for them."""
