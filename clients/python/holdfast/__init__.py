"""
Holdfast's clients. ``holdfast.queue`` and ``holdfast.queue_async``: the work queue, for threads and for asyncio. ``holdfast.link`` and
``holdfast.link_async``: connections that last.
"""
