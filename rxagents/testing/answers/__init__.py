"""Render a scripted reply as each wire sends it, one module a wire."""
