"""Fakes of services that tests cannot call, or must be able to break."""
