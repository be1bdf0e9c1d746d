"""Run an agent for many inputs, on this loop or on workers elsewhere, as one stream."""
