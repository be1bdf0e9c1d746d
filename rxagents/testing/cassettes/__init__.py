"""Record the HTTP answers of models in a file, and replay them.

Cassette.intercept -> CassetteKey -> Exchange in the file -> ReplayedResponse
                   -> the network -> RecordingResponse    -> Exchange in the file
"""
