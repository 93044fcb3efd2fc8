"""A web application as it may be found behind a gate: plain Python, one thread a connection.

It says where it listens on its first line, and on later lines what it was asked.
"""

import base64, hashlib, json, socket, ssl, struct, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, kind="text/plain", status=200, headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        print(f"asked {self.command} {self.path}", flush=True)
        peer = "%s:%d" % self.client_address[:2]
        if path == "/headers":
            heard = [[name.lower(), value] for name, value in self.headers.items()]
            shown = None
            if isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert():
                shown = dict(pair[0] for pair in self.connection.getpeercert()["subject"]).get("commonName")
            self.answer(json.dumps({"headers": heard, "path": self.path, "peer": peer, "certificate": shown}), "application/json")
        elif path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for n in range(3):
                event = f"data: {n} {time.time()}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
                time.sleep(0.3)
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/socket":
            self.web_socket()
        elif path == "/large":
            size = 64 << 20
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            block = bytes(range(256)) * 256
            for _ in range(size // len(block)):
                self.wfile.write(block)
        elif path == "/endless":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while True:
                self.wfile.write(b"4\r\nmore\r\n")
                self.wfile.flush()
                time.sleep(0.05)
        elif path == "/silent":
            time.sleep(60)
        elif path == "/cut":
            self.connection.close()
            self.close_connection = True
        elif path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
        elif path == "/garbage":
            self.wfile.write(b"\x00\xff this is no HTTP \r\n\r\n")
            self.close_connection = True
        elif path == "/moved":
            self.answer("", status=302, headers=[("Location", "http://internal.example:8080/there?a=b")])
        elif path == "/cookies":
            self.answer("set", headers=[("Set-Cookie", "own=1"), ("Set-Cookie", "__Host-tapgate-app=forged; Path=/; Secure")])
        else:
            self.answer(f"<h1>The application</h1><p>at {self.path} over {peer}</p>", "text/html")

    do_HEAD = do_GET
    do_DELETE = do_GET

    def do_POST(self):
        digest, size = hashlib.sha256(), 0
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                block = self.rfile.read(length)
                self.rfile.readline()
                digest.update(block)
                size += len(block)
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left:
                block = self.rfile.read(min(left, 65536))
                if not block:
                    break
                digest.update(block)
                size += len(block)
                left -= len(block)
        print(f"asked {self.command} {self.path} with {size}", flush=True)
        self.answer(json.dumps({"size": size, "sha256": digest.hexdigest()}), "application/json")

    do_PUT = do_POST

    def web_socket(self):
        """Echoes text until the client leaves."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                break
            opcode, length = head[0] & 15, head[1] & 127
            if length == 126:
                length = struct.unpack(">H", self.rfile.read(2))[0]
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[n % 4] for n, byte in enumerate(self.rfile.read(length)))
            if opcode == 8:
                self.wfile.write(b"\x88\x02" + data[:2])
                self.wfile.flush()
                break
            reply = b"echo " + data
            self.wfile.write(bytes([0x81, len(reply)]) + reply)
            self.wfile.flush()
        print("the socket is closed", flush=True)


def tcp():
    """Says its port, then echoes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(stream):
        with stream:
            stream.sendall(f"port {listener.getsockname()[1]}\n".encode())
            while data := stream.recv(65536):
                stream.sendall(data)
            stream.sendall(b"bye\n")

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def grpc_server():
    """The application over gRPC: one call that answers once, and one that streams."""
    import grpc
    from concurrent import futures

    class Echo(grpc.GenericRpcHandler):
        def service(self, call):
            heard = dict(call.invocation_metadata)
            raw = dict(request_deserializer=None, response_serializer=None)
            if call.method == "/echo.Echo/Once":
                def once(request, context):
                    context.set_trailing_metadata((("x-trailer", "there"),))
                    return request + b" from " + heard.get("tapgate-user", "nobody").encode()
                return grpc.unary_unary_rpc_method_handler(once, **raw)
            if call.method == "/echo.Echo/Many":
                return grpc.unary_stream_rpc_method_handler(lambda request, _: (request for _ in range(5)), **raw)
            return None

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"grpc {port}", flush=True)
    server.wait_for_termination()


def grpc_client(target):
    """Calls both and says what came."""
    import grpc

    channel = grpc.insecure_channel(target)
    answer, call = channel.unary_unary("/echo.Echo/Once").with_call(b"hello", timeout=20)
    print(answer.decode(), dict(call.trailing_metadata()).get("x-trailer"))
    print(sum(1 for _ in channel.unary_stream("/echo.Echo/Many")(b"x", timeout=20)), "answers")


if sys.argv[1:2] == ["grpc"]:
    grpc_server()
elif sys.argv[1:2] == ["grpc-client"]:
    grpc_client(sys.argv[2])
else:
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        if len(sys.argv) > 3:
            context.load_verify_locations(sys.argv[3])
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"http {server.server_port} tcp {tcp()} tcp {tcp()}", flush=True)
    server.serve_forever()
