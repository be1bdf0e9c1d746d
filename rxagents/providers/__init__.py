"""Who to call: URL, key and headers, and which wire they speak."""
