"""Sends frames of WebSockets to an echo server, right and wrong ones, and checks the answers.

The answers are parsed by the package websockets. Usage: websocket_frames.py PORT
"""

import socket
import sys

from websockets.client import ClientProtocol
from websockets.frames import Close, Opcode
from websockets.uri import parse_uri

TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
PING, PONG, CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE

# The longest message that the server accepts.
LIMIT = 1 << 20


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/echo"))
        self.protocol.send_request(self.protocol.connect())
        self.socket.sendall(b"".join(self.protocol.data_to_send()))
        self.frames = []
        while not self.frames:
            self.read()
        response = self.frames.pop(0)
        assert response.status_code == 101, response

    def read(self):
        data = self.socket.recv(1 << 16)
        if not data:
            self.protocol.receive_eof()
        else:
            self.protocol.receive_data(data)
        self.frames += self.protocol.events_received()
        return bool(data)

    def send(self, opcode, data=b"", fin=True, mask=True, rsv1=False):
        # The package refuses to make wrong frames.
        head = bytes([fin << 7 | rsv1 << 6 | opcode])
        length = len(data)
        if length < 126:
            head += bytes([mask << 7 | length])
        elif length < 1 << 16:
            head += bytes([mask << 7 | 126]) + length.to_bytes(2, "big")
        else:
            head += bytes([mask << 7 | 127]) + length.to_bytes(8, "big")
        # A mask of zeros leaves the data as they are.
        self.socket.sendall(head + bytes(4 * mask) + data)

    def next(self):
        while not self.frames:
            assert self.read(), "the end came early"
        return self.frames.pop(0)

    def expect(self, opcode, data):
        frame = self.next()
        assert (frame.opcode, frame.data) == (opcode, data), frame

    def expect_close(self, code):
        """Expects a close frame, without a code if `code` is None, and then the end."""
        frame = self.next()
        assert frame.opcode == CLOSE, frame
        if code is None:
            assert frame.data == b"", frame
        else:
            assert Close.parse(frame.data).code == code, frame
        try:
            while self.read():
                pass
        except ConnectionResetError:
            # The server has not read all that was sent.
            pass


def lengths(client):
    for length in (0, 1, 125, 126, 127, 65535, 65536, LIMIT):
        for opcode in (TEXT, BINARY):
            client.send(opcode, b"x" * length)
            client.expect(opcode, b"x" * length)


def fragments_with_a_ping_between(client):
    client.send(TEXT, "grü".encode()[:3], fin=False)
    client.send(PING, b"between")
    client.expect(PONG, b"between")
    client.send(CONT, "grü".encode()[3:], fin=False)
    client.send(CONT, b"", fin=False)
    client.send(CONT, b"n")
    client.expect(TEXT, "grün".encode())


def pongs(client):
    client.send(PONG, b"unsolicited")
    for length in (0, 125):
        client.send(PING, b"x" * length)
        client.expect(PONG, b"x" * length)


def text_that_is_not_utf8(client):
    client.send(TEXT, b"\xce\xba\xed\xa0\x80")
    client.expect_close(1007)


def fragments_that_are_not_utf8(client):
    client.send(TEXT, b"\xce", fin=False)
    client.send(CONT, b"\xce")
    client.expect_close(1007)


def a_message_that_is_too_long(client):
    client.send(BINARY, b"x" * (LIMIT + 1))
    client.expect_close(1009)


def fragments_that_are_too_long(client):
    client.send(BINARY, b"x" * LIMIT, fin=False)
    client.send(CONT, b"x")
    client.expect_close(1009)


def a_frame_that_is_not_masked(client):
    client.send(TEXT, b"x", mask=False)
    client.expect_close(1002)


def a_reserved_bit(client):
    client.send(TEXT, b"x", rsv1=True)
    client.expect_close(1002)


def a_reserved_opcode(client):
    client.socket.sendall(bytes([0x83, 0x80, 0, 0, 0, 0]))
    client.expect_close(1002)


def a_continuation_of_nothing(client):
    client.send(CONT, b"x")
    client.expect_close(1002)


def a_second_beginning(client):
    client.send(TEXT, b"x", fin=False)
    client.send(TEXT, b"x")
    client.expect_close(1002)


def a_ping_in_fragments(client):
    client.send(PING, b"x", fin=False)
    client.expect_close(1002)


def a_ping_that_is_too_long(client):
    client.send(PING, b"x" * 126)
    client.expect_close(1002)


def a_close_of_one_byte(client):
    client.send(CLOSE, b"x")
    client.expect_close(1002)


def close_with(code):
    def case(client):
        client.send(CLOSE, Close(code, "reason").serialize())
        client.expect_close(code)

    return case


def close_without_a_code(client):
    client.send(CLOSE)
    client.expect_close(None)


def close_with_a_code_that_is_not_sent(client):
    client.send(CLOSE, (1005).to_bytes(2, "big"))
    client.expect_close(1002)


CASES = [
    lengths,
    fragments_with_a_ping_between,
    pongs,
    text_that_is_not_utf8,
    fragments_that_are_not_utf8,
    a_message_that_is_too_long,
    fragments_that_are_too_long,
    a_frame_that_is_not_masked,
    a_reserved_bit,
    a_reserved_opcode,
    a_continuation_of_nothing,
    a_second_beginning,
    a_ping_in_fragments,
    a_ping_that_is_too_long,
    a_close_of_one_byte,
    close_with(1000),
    close_with(3000),
    close_with(4999),
    close_without_a_code,
    close_with_a_code_that_is_not_sent,
]

failures = 0
for case in CASES:
    try:
        case(Client(int(sys.argv[1])))
    except Exception as error:
        failures += 1
        print(f"{case.__name__}: {error!r}")
if failures:
    sys.exit(f"{failures} cases failed")
print(f"{len(CASES)} cases passed")
