"""Count what requests use and cost, and stop them at a budget."""
