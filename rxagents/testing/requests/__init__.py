"""Check requests as strictly as each provider does, one module a wire.

Each module has `check(body)`. It raises `ValueError`, with a sentence, if the API would refuse the
body: for unknown or missing fields, wrong types, roles out of order, or results without calls.
"""
