"""The client and the server of the echo service, with Python's grpc.

    peer.py client ADDRESS [TLS]    makes calls of all kinds and prints the answers
    peer.py server [TLS]            prints its port and serves until its input ends

TLS is three arguments in PEM: the certificate to trust, and the key and the certificate to present.
"""
import concurrent.futures
import sys

import grpc


def text(message):
    return message.decode()


def data(text):
    return text.encode()


def connect(address, tls):
    if not tls:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(*tls))


def client(address, tls):
    with connect(address, tls) as channel:
        unary = channel.unary_unary("/test.Echo/Unary", data, text)
        numbers = channel.unary_stream("/test.Echo/ServerStreaming", data, text)
        bidi = channel.stream_stream("/test.Echo/Bidi", data, text)
        print(unary("x"))
        received = [int(number) for number in numbers("1000")]
        print(len(received), sum(received))
        print(*bidi(iter("abc")))
        try:
            unary("error")
        except grpc.RpcError as error:
            print(error.code().name, error.details())


def unary(name, context):
    if name == "error":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an error")
    return "hello " + name


def numbers(count, context):
    return (str(n).rjust(300) for n in range(int(count)))


def bidi(texts, context):
    return ("echo " + text for text in texts)


def bind(server, address, tls):
    if not tls:
        return server.add_insecure_port(address)
    trusted, key, certificate = tls
    credentials = grpc.ssl_server_credentials([(key, certificate)], trusted, True)
    return server.add_secure_port(address, credentials)


def server(tls):
    pool = concurrent.futures.ThreadPoolExecutor(40)
    server = grpc.server(pool)
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary, text, data),
        "ServerStreaming": grpc.unary_stream_rpc_method_handler(numbers, text, data),
        "Bidi": grpc.stream_stream_rpc_method_handler(bidi, text, data),
    }
    handler = grpc.method_handlers_generic_handler("test.Echo", handlers)
    server.add_generic_rpc_handlers([handler])
    print(bind(server, "127.0.0.1:0", tls))
    server.start()
    sys.stdin.read()


arguments = sys.argv[2:]
tls = [argument.encode() for argument in arguments[-3:] if len(arguments) >= 3]
if sys.argv[1] == "client":
    client(arguments[0], tls)
else:
    server(tls)
