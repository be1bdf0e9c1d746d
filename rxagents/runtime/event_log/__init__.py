"""Keep streams in a log that readers can join, leave and read again."""
