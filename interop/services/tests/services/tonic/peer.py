"""The client and the server of the echo service, with Python's grpc.

    peer.py client ADDRESS    makes calls of all kinds and prints the answers
    peer.py server            prints its port and serves until its input ends
"""
import concurrent.futures
import sys

import grpc


def text(message):
    return message.decode()


def data(text):
    return text.encode()


def client(address):
    with grpc.insecure_channel(address) as channel:
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


def server():
    pool = concurrent.futures.ThreadPoolExecutor(40)
    server = grpc.server(pool)
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary, text, data),
        "ServerStreaming": grpc.unary_stream_rpc_method_handler(numbers, text, data),
        "Bidi": grpc.stream_stream_rpc_method_handler(bidi, text, data),
    }
    handler = grpc.method_handlers_generic_handler("test.Echo", handlers)
    server.add_generic_rpc_handlers([handler])
    print(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    sys.stdin.read()


if sys.argv[1] == "client":
    client(sys.argv[2])
else:
    server()
