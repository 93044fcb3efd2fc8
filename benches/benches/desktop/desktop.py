"""A VNC desktop that asks for no password, and sends a picture of so many bytes whenever it is asked for one."""

import socket
import sys
import threading

PICTURE = bytes(int(sys.argv[1]))


def read(stream, count):
    said = b""
    while len(said) < count:
        more = stream.recv(count - len(said))
        if not more:
            raise EOFError
        said += more
    return said


def serve(stream):
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        stream.sendall(b"RFB 003.008\n")
        read(stream, 12)
        stream.sendall(b"\x01\x01")
        read(stream, 1)
        stream.sendall(bytes(4))
        read(stream, 1)
        stream.sendall(b"\x03\x20\x02\x58\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00" + bytes(4))
        while True:
            read(stream, 10)
            stream.sendall(PICTURE)
    except (OSError, EOFError):
        stream.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=256)
print("port", listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
