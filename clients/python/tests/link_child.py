"""
A client in a process of its own, for test/link/python-client.test.ts: HOST:PORT NAME COUNT. Sends the numbers from 1 to COUNT, some of them long, prints each
number that came as it came, and at the end what became of its own.
"""

import asyncio
import json
import sys

from holdfast.link_async import Client, HoldfastError, Opened


async def main(address: str, name: str, count: int) -> None:
    came: "list[int]" = []
    all_came = asyncio.Event()

    def message(data: bytes) -> None:
        came.append(int(data.split()[0]))
        if came[-1] == count:
            all_came.set()

    def opened(how: Opened) -> None:
        print(json.dumps({"opened": {"resumed": how.resumed, "restarted": how.restarted}}), flush=True)

    async with Client(address, name=name, will="lost", on_message=message, on_open=opened, backoff=("1ms", "50ms"), outbox_max=1 << 26) as client:
        if not count:
            await client.closed()
            return
        sent = [client.send(f"{number} ".ljust(50_000 if number % 100 == 0 else 20)) for number in range(1, count + 1)]
        results = await asyncio.gather(*sent, return_exceptions=True)
        failed = {number: error.code if isinstance(error, HoldfastError) else repr(error) for number, error in enumerate(results, 1) if error}
        if not failed:
            await all_came.wait()
        print(json.dumps({"failed": failed, "came": came}), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
