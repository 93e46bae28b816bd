"""The ledger: a durable record of calls and their answers, so that nothing is paid twice."""

from memories_async._database.file import DatabaseFailed
from memories_async.ledger._ledger import Ledger
from memories_async.ledger._values import Entry, State, Summary

__all__ = ["DatabaseFailed", "Entry", "Ledger", "State", "Summary"]
