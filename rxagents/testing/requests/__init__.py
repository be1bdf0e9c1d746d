"""What each provider accepts as a request, as strictly as the provider itself.

Each module has `check(body)`, which raises `ValueError` with a sentence on a body that the API
would refuse: unknown or missing fields, wrong types, roles out of order, results without calls.
"""
