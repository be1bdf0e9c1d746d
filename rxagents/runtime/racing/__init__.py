"""Race streams, and remember how long they took to begin."""
