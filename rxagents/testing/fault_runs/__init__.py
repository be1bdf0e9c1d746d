"""Replay a run with a fault at each of its events, and check the rules of every stream.

every_fault -> FaultyCassette   replays a cassette, with one fault
            -> Run              one subscription, in virtual time, and what happened in it
            -> judge            compares that with the rules, and with the run without a fault
"""
