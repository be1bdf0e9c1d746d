"""Sans-I/O, incremental parsers: bytes or text in, a list out; linear; they never raise on input.

All keep one contract. `feed(data)` returns what `data` completed. `flush()` returns what the end
of the input completes. What cannot be parsed ends the parser: what stood before it is returned,
`error` then holds the typed error, and later calls return nothing. So nothing that was received
is lost to an error that came with it. For the parsers of a model's prose (`react`, `sentences`,
`stop_sequences`) there is no invalid text, and so no `error`.
"""
