"""Tests of the transport; a package, so that they share what they begin with."""
