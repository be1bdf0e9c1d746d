"""Wire formats, sans-I/O: one folder each, which renders requests and parses responses."""
