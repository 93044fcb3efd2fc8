"""Database servers that do not keep to their protocol: which way, its input says, a word a line.

It says where it listens on its first line, then what it heard that it should not have, and each word that it took.
"""

import os, socket, ssl, struct, sys, threading, time

kind, certificate, key = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
mode = ""


def tell(text):
    print(text, flush=True)


def read(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def flood(stream, block):
    """Sends without end; whoever listens has to hang up."""
    while True:
        stream.sendall(block)


# --- PostgreSQL

def message(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body


def ask(code, rest=b""):
    return message(b"R", struct.pack(">I", code) + rest)


def said(stream):
    kind = read(stream, 1)
    return kind, read(stream, struct.unpack(">I", read(stream, 4))[0] - 4)


READY = ask(0) + message(b"K", struct.pack(">II", 1, 2)) + message(b"Z", b"I")
SETTING = message(b"S", b"a" * 30000 + b"\0b\0")

# What it says in place of the request to prove who is there.
FIRST = {
    "unknown": ask(99),
    "kerberos": ask(2),
    "huge": b"R\x7f\xff\xff\xff\0\0\0\0",
    "negative": b"R\xff\xff\xff\xff\0\0\0\0",
    "short": b"R\0\0\0\x03",
    "no salt": ask(5),
    "sasl": ask(10, b"FOO\0\0"),
    "no kind": message(b"R", b"\0"),
    "ready": message(b"Z", b"I"),
    "copy": message(b"G", b"\0\0\0"),
    "error huge": b"E\x7f\xff\xff\xff",
    "half": b"R\0\0",
}

# What it answers to the first statement.
ANSWER = {
    "row huge": b"D\x7f\xff\xff\xff\0\x01",
    "row short": b"D\0\0\0\x02",
    "row half": b"D\0\0\x10\0abc",
    "nobody's kind": b"\0\0\0\0\x04",
    "login again": ask(3),
    "copy unasked": message(b"G", b"\0\0\0"),
}


def postgres(raw):
    read(raw, 8)
    raw.sendall(b"S")
    with context.wrap_socket(raw, server_side=True) as stream:
        read(stream, struct.unpack(">I", read(stream, 4))[0] - 4)
        if mode == "clear":
            stream.sendall(ask(3))
            tell("password %r" % (said(stream),))
        elif mode == "skips the proof":
            stream.sendall(ask(10, b"SCRAM-SHA-256\0\0"))
            said(stream)
            stream.sendall(READY)
        elif mode == "wrong proof":
            stream.sendall(ask(10, b"SCRAM-SHA-256\0\0"))
            first = said(stream)[1]
            nonce = first.split(b"r=")[-1]
            stream.sendall(ask(11, b"r=" + nonce + b"x,s=c2FsdA==,i=4096"))
            said(stream)
            stream.sendall(ask(12, b"v=" + b"A" * 43 + b"=") + READY)
        elif mode == "endless settings":
            stream.sendall(ask(0))
            flood(stream, SETTING)
        elif mode == "endless notices":
            flood(stream, message(b"N", b"M" + b"a" * 30000 + b"\0\0"))
        elif mode == "garbage":
            stream.sendall(os.urandom(65536))
        elif mode in FIRST:
            stream.sendall(FIRST[mode])
        else:
            stream.sendall(READY)
            said(stream)
            stream.sendall(os.urandom(1 << 20) if mode == "garbage answer" else ANSWER[mode])
        while stream.recv(65536):
            pass


# --- MySQL

def frame(body, number):
    return struct.pack("<I", len(body))[:3] + bytes([number]) + body


CAPS = 0xDFFF_FFFF


def greeting(caps=CAPS, plugin=b"mysql_native_password"):
    low, high = struct.pack("<I", caps)[:2], struct.pack("<I", caps)[2:]
    return (b"\x0a8.4.0\0" + struct.pack("<I", 7) + b"abcdefgh\0" + low + b"\x2d\x02\0" + high + b"\x15" + bytes(10)
            + b"ijklmnopqrst\0" + plugin + b"\0")


OK = b"\0\0\0\x02\0\0\0"
GREETINGS = {
    "no TLS": frame(greeting(CAPS & ~0x800), 0),
    "greeting huge": b"\xff\xff\xff\0" + bytes(100),
    "greeting half": frame(greeting(), 0)[:30],
    "greeting old": frame(b"\x093.23\0" + bytes(30), 0),
    "greeting garbage": os.urandom(512),
    "refuses": frame(b"\xff\x10\x04Too many connections", 0),
}
PROOFS = {
    "clear": b"\xfemysql_clear_password\0",
    "old": b"\xfemysql_old_password\0abcdefgh\0",
    "unknown": b"\xfefoo\0bar\0",
    "switch empty": b"\xfe",
    "more": b"\x01\x09",
    "result": b"\x01\x01\x01",
    "nothing": b"",
}
ANSWERS = {
    "file unasked": frame(b"\xfb/etc/passwd", 1),
    "columns huge": frame(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 1),
    "empty": frame(b"", 1),
    "half": b"\xff\xff\xff\x01abc",
}


def client_packet(stream):
    head = read(stream, 4)
    return read(stream, head[0] | head[1] << 8 | head[2] << 16), head[3]


def mysql(raw):
    if mode in GREETINGS:
        raw.sendall(GREETINGS[mode])
        while more := raw.recv(65536):
            tell("clear %r" % more)
        return
    raw.sendall(frame(greeting(), 0))
    read(raw, 36)
    with context.wrap_socket(raw, server_side=True) as stream:
        _, number = client_packet(stream)
        if mode in PROOFS:
            stream.sendall(frame(PROOFS[mode], number + 1))
            tell("proof %r" % (client_packet(stream),))
        elif mode == "endless proofs":
            while True:
                stream.sendall(frame(b"\x01\x03", number + 1))
                number = (number + 1) % 256
        elif mode == "garbage":
            stream.sendall(os.urandom(65536))
        else:
            stream.sendall(frame(OK, number + 1))
            while True:
                said, _ = client_packet(stream)
                if said.startswith(b"\x03") and (b"select 1" in said or b"load" in said):
                    break
                stream.sendall(frame(OK, 1))
            stream.sendall(os.urandom(1 << 20) if mode == "garbage answer" else ANSWERS[mode])
            if mode == "file unasked":
                tell("file %r" % (client_packet(stream),))
        while stream.recv(65536):
            pass


def serve(stream):
    try:
        with stream:
            {"postgres": postgres, "mysql": mysql}[kind](stream)
    except (OSError, ConnectionError, KeyError):
        pass


listener = socket.create_server(("127.0.0.1", 0))


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
tell("port %d" % listener.getsockname()[1])
for line in sys.stdin:
    mode = line.strip()
    tell("now %s" % mode)
