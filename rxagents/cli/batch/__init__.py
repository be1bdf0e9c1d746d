"""Run an agent for each row of a file, from the command line."""
