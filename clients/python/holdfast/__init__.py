"""Holdfast's clients. ``holdfast.queue`` and ``holdfast.queue_async``: the work queue, for threads and for asyncio."""
