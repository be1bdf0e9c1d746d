"""Draw runs: the items of a recorded or live stream on a time axis, as SVG and as text."""
