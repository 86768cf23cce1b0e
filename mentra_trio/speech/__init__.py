"""Adapters that recognise speech: implementations of ``ports.Transcriber``."""
