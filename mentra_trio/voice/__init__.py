"""Engines that say a text: implementations of ``engines.Voice``."""
