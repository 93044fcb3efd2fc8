"""A desktop of RDP that keeps to the protocol up to where its client has said who it is, and then goes one odd way.

python3 odd_desktop.py WAY CERTIFICATE KEY
"""

import socket
import ssl
import sys
import threading

MAIN = 1003
USER = 1007


def tpkt(body):
    return b"\x03\x00" + (len(body) + 4).to_bytes(2, "big") + body


def read(stream):
    head = b""
    while len(head) < 4:
        more = stream.recv(4 - len(head))
        if not more:
            raise EOFError
        head += more
    length = int.from_bytes(head[2:4], "big") - 4
    body = b""
    while len(body) < length:
        more = stream.recv(length - len(body))
        if not more:
            raise EOFError
        body += more
    return body


def block(kind, body):
    return kind.to_bytes(2, "little") + (len(body) + 4).to_bytes(2, "little") + body


def channels(initial):
    """How many channels the client asks for."""
    rest = initial[initial.index(b"Duca") + 6 :]
    while rest:
        kind, length = int.from_bytes(rest[:2], "little"), int.from_bytes(rest[2:4], "little")
        if kind == 0xC003:
            return int.from_bytes(rest[4:8], "little")
        rest = rest[length:]
    return 0


def per(length):
    return (length | 0x8000).to_bytes(2, "big")


def ber(tag, body):
    return tag + b"\x82" + len(body).to_bytes(2, "big") + body


def response(count):
    ids = b"".join((MAIN + 1 + n).to_bytes(2, "little") for n in range(count))
    pad = b"\x00\x00" if count % 2 else b""
    blocks = (
        block(0x0C01, (0x00080004).to_bytes(4, "little") + (3).to_bytes(4, "little"))
        + block(0x0C03, MAIN.to_bytes(2, "little") + count.to_bytes(2, "little") + ids + pad)
        + block(0x0C02, bytes(8))
    )
    inner = bytes.fromhex("14760a010100 01c000") + b"McDn" + per(len(blocks)) + blocks
    user = bytes.fromhex("000500147c0001") + per(len(inner)) + inner
    parameters = bytes.fromhex("301a020122020103020100020101020100020101020300fff8020102")
    body = bytes.fromhex("0a0100020100") + parameters + ber(b"\x04", user)
    return tpkt(b"\x02\xf0\x80" + ber(b"\x7f\x66", body))


def indication(data):
    body = b"\x68" + (USER - 1001).to_bytes(2, "big") + MAIN.to_bytes(2, "big") + b"\x70" + per(len(data)) + data
    return tpkt(b"\x02\xf0\x80" + body)


def redirection(target):
    """MS-RDPBCGR 2.2.13.1: to this address."""
    name = (target + "\0").encode("utf-16-le")
    packet = (0x0400).to_bytes(2, "little") + bytes(2) + bytes(4) + (1).to_bytes(4, "little")
    packet += len(name).to_bytes(4, "little") + name
    packet = packet[:2] + len(packet).to_bytes(2, "little") + packet[4:]
    head = (len(packet) + 8).to_bytes(2, "little") + b"\x1a\x00" + MAIN.to_bytes(2, "little") + bytes(2)
    return indication(head + packet)


def part(stream, words):
    """Says this last, and hangs up only after the other side has: it reads the words before anything breaks."""
    stream.sendall(words)
    while stream.recv(65536):
        pass


def converse(stream, context, way):
    read(stream)
    stream.sendall(tpkt(bytes.fromhex("0ed00000000000 0200080001000000")))
    stream = context.wrap_socket(stream, server_side=True)
    if way == "stall-conference":
        stream.recv(65536)
        return stream.recv(1)
    initial = read(stream)
    if way == "large-conference":
        return stream.sendall(b"\x03\x00\xff\xff" + bytes(65531))
    if way == "cut-conference":
        return part(stream, response(channels(initial))[:-12] + bytes(12))
    stream.sendall(response(channels(initial)))
    while True:
        said = read(stream)[3:]
        kind = said[0] & 0xFC
        if kind == 40:
            stream.sendall(tpkt(b"\x02\xf0\x80\x2e\x00" + (USER - 1001).to_bytes(2, "big")))
        elif kind == 56:
            stream.sendall(tpkt(b"\x02\xf0\x80\x3e\x00" + said[1:3] + said[3:5] + said[3:5]))
        elif kind == 100:
            break
    if way == "redirect":
        stream.sendall(redirection("127.0.0.1"))
    elif way == "noise":
        stream.sendall(b"\x41" * 4096)
    stream.recv(1)


def main():
    way, certificate, key = sys.argv[1:4]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)

    def serve(stream):
        try:
            converse(stream, context, way)
        except (OSError, EOFError) as error:
            print("ended", error, flush=True)
        finally:
            stream.close()

    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream,), daemon=True).start()


main()
