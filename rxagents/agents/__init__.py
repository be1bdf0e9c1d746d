"""Agents: each one a pipe of operators over a model's stream."""
