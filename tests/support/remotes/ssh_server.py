"""An SSH server with SFTP, for DVC's ssh remote.

python -m tests.support.remotes.ssh_server FOLDER makes a key for a client, FOLDER/client_key, lets in who has it, and prints
the port. Its own key is a new one each time.
"""

import asyncio
import sys
from pathlib import Path

import asyncssh


async def serve(folder: Path) -> None:
    """Serve until the process is ended."""
    client, own = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    client.write_private_key(folder / "client_key")
    allowed = asyncssh.import_authorized_keys(client.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[own], authorized_client_keys=allowed, sftp_factory=True
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
