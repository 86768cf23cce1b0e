"""A server for smart-glasses apps, wire-compatible with the MentraOS cloud, built on Trio.

What is exported here is the public interface; everything else may move between versions.

The package is built in floors, and a floor imports only floors below it:

    8  cli, testing      people and test programs enter here
    7  clients           the other ends of the wire: glasses and apps
    6  server            assembly: the only place that knows all parts
    5  transport, web, webhooks, storage, telemetry      adapters; they never import each other
    4  sessions          the actors: one nursery per user session and per app session
    3  ports             what sessions need from outside
    2  wire, concurrency, environment, config
    1  domain            the rules: pure functions and frozen values
"""
