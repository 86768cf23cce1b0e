"""Engines that say a text: implementations of ``ports.Voice``."""
