"""Ray Data: callables for `Dataset.map_batches` that send one call for each row, paid at most once.

Needs the extra `ray`. An actor pool runs them, and its workers share what the client names: the
limiter keeps the account's rate over all of them, and the ledger answers a row that was paid before,
also where Ray runs a task a second time.
"""

from memories_async.ray._cluster_ledger import cluster_ledger
from memories_async.ray._transforms import Embed, Search, Send

__all__ = ["Embed", "Search", "Send", "cluster_ledger"]
