"""Sends messages over a WebSocket with TLS, and counts those that come back.

Usage: websocket_echo.py URL ROOTS
"""

import ssl
import sys

from websockets.sync.client import connect

context = ssl.create_default_context(cafile=sys.argv[2])
count = 0
with connect(sys.argv[1], ssl=context) as socket:
    for number in range(100):
        message = str(number) * 1000
        socket.send(message)
        count += socket.recv() == message
print(f"{count} messages came back")
