"""Puts a running app server through a fixed set of lifecycles: ``mentra-trio certify``.

A small cloud of its own calls the app's webhook, accepts its connections, and does to them what
networks, servers and users do. What is judged is what a user would notice.
"""
