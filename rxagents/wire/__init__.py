"""Wire formats, sans-I/O: one file each, which renders the request and parses the answer."""
