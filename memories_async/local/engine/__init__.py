"""Engines that compute the embedded service's answers from real video."""
