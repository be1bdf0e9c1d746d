"""Store conversations, in memory or in a file of SQLite."""
