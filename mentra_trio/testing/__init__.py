"""Floor 8, what tests of the package and of its users stand on.

Start with the fixtures of ``plugin``. ``world`` is a whole server with phones and apps on the
in-memory ``network``; ``faults`` says what goes wrong in it, ``strategies`` has Hypothesis draw
that, and ``app_server`` is an app with the oddities of the npm SDK. ``machine`` runs rules over any
world in virtual time, ``script`` does them again; ``machines`` has those over sessions, checked by
``oracle`` and counted by ``sometimes`` and ``races``. ``household`` and ``links`` are the sessions
without a network. ``checks``, ``ledger`` and ``every_test`` see that nothing is left, ``schedule``
and ``trace`` that one seed is one course. ``certification`` is what ``mentra-trio certify`` does.
Nothing is imported here: a test suite that has the plugin pays only for what it uses.
"""
