"""Wait before requests, so that a provider's limits are kept."""
