"""Sends a megabyte by HTTP/3 with aioquic, and prints the status and the answer.

Usage: http3_post.py PORT ROOTS
"""

import asyncio
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration

LENGTH = 1_000_000


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.status = b""
        self.body = b""
        self.done = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        for event in self.http.handle_event(event):
            if isinstance(event, HeadersReceived):
                self.status = dict(event.headers)[b":status"]
            elif isinstance(event, DataReceived):
                self.body += event.data
            if event.stream_ended and not self.done.done():
                self.done.set_result(None)

    async def post(self):
        stream = self._quic.get_next_available_stream_id()
        headers = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/python"),
        ]
        self.http.send_headers(stream, headers)
        self.http.send_data(stream, bytes(LENGTH), end_stream=True)
        self.transmit()
        await self.done
        return f"{self.status.decode()} {self.body.decode()}"


async def main():
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN)
    configuration.load_verify_locations(sys.argv[2])
    configuration.server_name = "localhost"
    connection = connect(
        "127.0.0.1", int(sys.argv[1]), configuration=configuration, create_protocol=Client
    )
    async with connection as client:
        print(await asyncio.wait_for(client.post(), 60), end="")


asyncio.run(main())
