"""Looks at a VNC desktop through the gate or through a bare relay.

python3 viewer.py gate|bare PORT CERTIFICATE KEY SESSIONS PICTURE

It opens so many sessions, says so, and then does what its standard input says: "picture" on the first of them, and
"connect N" with connections of its own.
"""

import socket
import ssl
import sys
import time

way, port, certificate, key, sessions, picture = sys.argv[1:7]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.minimum_version = ssl.TLSVersion.TLSv1_3
if way == "gate":
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["tapgate-desktop"])


def read(stream, count):
    said = b""
    while len(said) < count:
        more = stream.recv(count - len(said))
        assert more, said
        said += more
    return said


def connect():
    plain = socket.create_connection(("127.0.0.1", int(port)))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = context.wrap_socket(plain, server_hostname="localhost")
    if way == "gate":
        stream.sendall(b"tapgate-desktop/1 vnc ann mac1\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += read(stream, 1)
        assert answer == b"open\n", answer
    assert read(stream, 12) == b"RFB 003.008\n"
    stream.sendall(b"RFB 003.008\n")
    assert read(stream, 2) == b"\x01\x01"
    stream.sendall(b"\x01")
    assert read(stream, 4) == bytes(4)
    stream.sendall(b"\x01")
    read(stream, 24)
    return stream


held = [connect() for _ in range(int(sessions))]
room = bytearray(1 << 20)
print("up", flush=True)
done = 0
for line in sys.stdin:
    words = line.split()
    told = ""
    if words[0] == "picture":
        held[0].sendall(b"\x03" + bytes(9))
        left = int(picture)
        while left:
            got = held[0].recv_into(room, min(left, len(room)))
            assert got
            left -= got
    elif words[0] == "connect":
        start = time.perf_counter_ns()
        for _ in range(int(words[1])):
            connect().close()
        told = (time.perf_counter_ns() - start) / int(words[1])
    done += 1
    print("done", done, told, flush=True)
