"""Serve an agent over HTTP: runs that readers join, OpenAI's endpoints, AG-UI and Vercel's UI."""

from rxagents.serve.app import make_app
from rxagents.serve.limits import ServeLimits
from rxagents.serve.server import serve

__all__ = ["ServeLimits", "make_app", "serve"]
