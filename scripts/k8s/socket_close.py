"""Opens a WebSocket of a dashboard, says `open`, reads it to its end, and says how it was closed.

usage: socket_close.py HOST PORT TOKEN
"""

import base64
import os
import socket
import struct
import sys

CLOSE = 8


def exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the connection was cut without a close frame")
    return data


def frame(stream):
    """A frame's opcode and payload; a server's are never masked."""
    head = exactly(stream, 2)
    size = head[1] & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", exactly(stream, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", exactly(stream, 8))
    return head[0] & 0x0F, exactly(stream, size)


def main():
    host, port, token = sys.argv[1:]
    connection = socket.create_connection((host, int(port)), timeout=60)
    stream = connection.makefile("rb")
    lines = [
        "GET /ws HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        f"Authorization: Bearer {token}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    status = stream.readline().decode().strip()
    if " 101 " not in status:
        sys.exit(f"the WebSocket was refused: {status}")
    while stream.readline() not in (b"\r\n", b""):
        pass
    print("open", flush=True)
    while True:
        opcode, payload = frame(stream)
        if opcode == CLOSE:
            print(f"closed {struct.unpack('!H', payload[:2])[0]}: {payload[2:].decode()}", flush=True)
            return


if __name__ == "__main__":
    main()
