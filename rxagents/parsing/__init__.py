"""Incremental parsers without I/O: linear in their input, and they never raise on input.

All parsers keep one contract. `feed(data)` returns a list of the items that `data` completed.
`flush()` returns the items that the end of the input completes. Invalid input ends the parser:
the items before it are returned, `error` then holds the typed error, and later calls return
nothing. So no received item is lost because an error arrived with it. The parsers of a model's
prose (`react`, `sentences`, `stop_sequences`) accept any text and have no `error`.
"""
