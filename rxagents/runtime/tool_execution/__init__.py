"""Run one tool call: approval, arguments, threads, progress, and the text for the model."""
