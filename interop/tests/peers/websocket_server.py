"""Serves WebSockets that echo, on a port that the system chooses and that it prints."""

from websockets.sync.server import serve


def echo(socket):
    for message in socket:
        socket.send(message)


with serve(echo, "127.0.0.1", 0, compression=None) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
