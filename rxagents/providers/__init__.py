"""Call models at providers: URL, key, headers, and the wire each provider uses."""
