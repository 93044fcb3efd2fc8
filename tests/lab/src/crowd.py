# Many SSH clients in one process, each with a command on its first channel. They are asked for a tap and wait; what
# each of them has heard is a line of JSON.
import asyncio
import json
import sys

import asyncssh
from asyncssh import public_key
from asyncssh.channel import SSHChannel

STDERR = 1
# How many handshakes go on at once: fewer than the gate lets one address have.
AT_ONCE = 16

# asyncssh takes no certificate with a critical option that it does not know; the gate's are for the gate alone.
for kind in (b"login", b"session"):
    option = b"tapgate-" + kind + b"@tapgate"
    public_key.SSHOpenSSHCertificateV01._user_option_decoders[option] = lambda packet: packet.get_string()

# asyncssh keeps the last words of a server that hangs up by its own wish to itself, unless no code says that it was so.
asyncssh.connection.DISC_BY_APPLICATION = None

asked = {}
accept = SSHChannel._accept_data


def hear(self, data, datatype=None):
    """asyncssh gives a session nothing before its command runs; what comes on stderr until then is the ask."""
    news = asked.get(self._conn)
    if datatype == STDERR and news and not news.done():
        self.said = getattr(self, "said", b"") + data
        if b"/web/ask/" in self.said and self.said.endswith(b"\n"):
            news.set_result(self.said.decode())
    accept(self, data, datatype)


SSHChannel._accept_data = hear


def say(**what):
    print(json.dumps(what), flush=True)


class Ear(asyncssh.SSHClient):
    """Hears why its connection has ended: what waits on a channel is told no more than that it failed."""

    why = None

    def connection_lost(self, why):
        self.why = why


async def end(number, run, conn, ear):
    try:
        done = await run
        say(client=number, stdout=done.stdout, status=done.exit_status)
    except (OSError, asyncssh.Error) as error:
        conn.abort()
        await conn.wait_closed()
        say(client=number, over=str(ear.why or error))


async def hold(number, address, options, wish, turns):
    async with turns:
        try:
            conn, ear = await asyncssh.create_connection(
                Ear, "127.0.0.1", wish["port"], local_addr=(address, 0), options=options)
        except (OSError, asyncssh.Error) as error:
            return say(client=number, over=str(error)), say(client=number, heard=False)
        news = asked[conn] = asyncio.get_running_loop().create_future()
        run = asyncio.ensure_future(conn.run(wish["command"]))
        await asyncio.wait({news, run}, return_when=asyncio.FIRST_COMPLETED)
        if not news.done():
            return await end(number, run, conn, ear), say(client=number, heard=False)
        more = [asyncio.ensure_future(one) for one in further(conn, wish)]
        # What they send goes out before anybody hears of this one.
        await asyncio.sleep(0)
        say(client=number, asked=news.result())
        say(client=number, heard=True)
    await end(number, run, conn, ear)
    for one in await asyncio.gather(*more, return_exceptions=True):
        say(client=number, further=repr(one))
    conn.abort()


def further(conn, wish):
    """What a client may try beside its first channel, before anybody has approved anything."""
    if wish["service"] is None:
        return []
    return [
        conn.run("echo further"),
        conn.create_process(term_type="xterm"),
        conn.start_sftp_client(),
        conn.open_connection("127.0.0.1", wish["service"]),
        conn.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9),
    ]


async def main(wish):
    key = wish["key"]
    options = asyncssh.SSHClientConnectionOptions(
        username=wish["user"], known_hosts=asyncssh.read_known_hosts(wish["known_hosts"]), agent_path=None, config=None,
        client_keys=asyncssh.load_keypairs([(key, key + "-cert.pub")]), host_key_alias="localhost",
        kex_algs=["curve25519-sha256"], encryption_algs=["aes128-gcm@openssh.com"], login_timeout=0)
    turns = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*[hold(number, address, options, wish, turns) for number, address in enumerate(wish["from"])])


asyncio.run(main(json.loads(sys.argv[1])))
