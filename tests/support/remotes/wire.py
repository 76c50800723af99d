"""A line to a server on which what passes is counted, so that it can break at a known byte.

python -m tests.support.remotes.wire PORT BYTES END carries connections to the server on PORT and prints its own port. Once
BYTES have passed, in both directions together, it prints a line and lets nothing more through: with END `hold` the
connections stay open, with `cut` they are closed. It ends where the server has ended, and so must who waits for its line.
"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

BLOCK = 16_384  # bytes


class Wire:
    """Connections to one server, and how many bytes may still pass."""

    def __init__(self, port: int, left: int, end: str) -> None:
        self.port, self.left, self.end = port, left, end
        self.tasks: set[asyncio.Task] = set()  # the loop alone would let them be collected

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, in both directions."""
        try:
            behind, ahead = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError as error:
            sys.exit(f"the server has ended: {error}")
        self.begin(self.carry(reader, ahead))
        self.begin(self.carry(behind, writer))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside the others."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction until it ends."""
        try:
            while block := await reader.read(BLOCK):
                writer.write(block[: max(self.left, 0)])
                await writer.drain()
                self.left -= len(block)
                if self.left <= 0:
                    print("broken", flush=True)
                    if self.end == "cut":
                        break
                    await asyncio.Event().wait()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def main() -> None:
    wire = Wire(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    server = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
