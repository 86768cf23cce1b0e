"""Adapters that recognise speech: implementations of ``engines.Transcriber``."""
