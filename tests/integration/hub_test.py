"""citius pull hf: against a small hub on the loopback address: digests, resuming, two pulls at once, Ctrl-C. And pull https: from a
server whose file becomes another one."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

from support import BINARY, run, run_json

WEIGHTS = os.urandom(3_000_000)
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "1_Pooling/config.json": b"{}",
    "onnx/model.onnx": b"never",
    "run.py": b"raise SystemExit",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests = []
    cut_after = None  # bytes of the weights after which the connection breaks, once
    wrong_bytes = False
    slow = False

    def log_message(self, *arguments):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except BrokenPipeError:  # the client was interrupted, as a test wants
            self.close_connection = True

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if Hub.cut_after is not None and len(body) > 1_000_000:
            self.wfile.write(body[: Hub.cut_after])
            Hub.cut_after = None
            self.close_connection = True
            return
        if Hub.slow and len(body) > 1_000_000:
            for begin in range(0, len(body), 20_000):
                self.wfile.write(body[begin : begin + 20_000])
                time.sleep(0.05)
            return
        self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        Hub.requests.append((self.command, self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        if self.path == "/api/models/org/tiny/revision/main":
            listing = {"sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            return self.send(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})
        if self.path.startswith(f"/org/tiny/resolve/{COMMIT}/"):
            name = self.path.split(COMMIT + "/")[1]
            body = FILES[name]
            if name.endswith(".safetensors"):
                digest = hashlib.sha256(body).hexdigest()
                return self.send(302, b"", {"Location": f"/cdn/{name}", "X-Linked-Etag": f'"{digest}"'})
            digest = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
            return self.send(200, body, {"ETag": f'"{digest}"'})
        if self.path.startswith("/cdn/"):
            body = FILES[self.path[5:]]
            if Hub.wrong_bytes:
                body = body[:-1] + b"?"
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if match and self.headers.get("If-Range") == '"cdn-etag"':
                begin = int(match[1])
                span = f"bytes {begin}-{len(body) - 1}/{len(body)}"
                return self.send(206, body[begin:], {"ETag": '"cdn-etag"', "Content-Range": span})
            return self.send(200, body, {"ETag": '"cdn-etag"'})
        self.send(404, b"no", {})


class Files(http.server.BaseHTTPRequestHandler):
    """A server of one file that states an ETag and no digest, and goes on with 206 where the ETag is still the same."""

    etag = ""
    body = b""
    cut_after = None  # bytes after which the connection breaks, once
    starts = []  # where each answer began

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        # A server that takes no If-Range sends the range whatever it says.
        resumes = match and self.headers.get("If-Range") in (None, Files.etag)
        begin = int(match[1]) if resumes else 0
        self.send_response(206 if resumes else 200)
        if Files.etag:
            self.send_header("ETag", Files.etag)
        if resumes:
            self.send_header("Content-Range", f"bytes {begin}-{len(Files.body) - 1}/{len(Files.body)}")
        self.send_header("Content-Length", str(len(Files.body) - begin))
        self.end_headers()
        if self.command == "HEAD":
            return
        Files.starts.append(begin)
        self.wfile.write(Files.body[begin : Files.cut_after])


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
scratch = tempfile.TemporaryDirectory(prefix="citius_hub_")
work = pathlib.Path(scratch.name)


def environment(name):
    return {"CITIUS_HOME": str(work / name), "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
            "HF_TOKEN": "secret-token", "http_proxy": "", "no_proxy": "127.0.0.1"}


def weights_of(name):
    return (work / name / "models/tiny/model.safetensors").read_bytes()


def downloads_are_clean(name):
    return not any((work / name / "downloads").iterdir())


def test_whole():
    Hub.requests.clear()
    result = run_json("pull", "hf:org/tiny", env=environment("a"))
    assert result["name"] == "tiny" and not result["already"]
    stored = sorted(str(p.relative_to(result["path"])) for p in pathlib.Path(result["path"]).rglob("*") if p.is_file())
    assert stored == ["1_Pooling/config.json", "citius-source.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert json.loads((pathlib.Path(result["path"]) / "citius-source.json").read_text())["commit"] == COMMIT
    assert weights_of("a") == WEIGHTS and downloads_are_clean("a")
    assert not any(entry[3] for entry in Hub.requests), "the token went over a connection that is not https"
    count = len(Hub.requests)
    assert run_json("pull", "hf:org/tiny", env=environment("a"))["already"]
    assert len(Hub.requests) == count


def test_resume():
    Hub.requests.clear()
    Hub.cut_after = 1_234_567
    run("pull", "hf:org/tiny", env=environment("b"))
    ranges = [entry[2] for entry in Hub.requests if entry[2]]
    assert "bytes=1234567-" in ranges, Hub.requests
    assert weights_of("b") == WEIGHTS


def test_wrong_digest():
    Hub.wrong_bytes = True
    result = run("pull", "hf:org/tiny", env=environment("c"), expect=3)
    Hub.wrong_bytes = False
    assert "differs from the digest" in result.stderr
    assert not (work / "c/models/tiny").exists()
    run("pull", "hf:org/tiny", env=environment("c"))
    assert weights_of("c") == WEIGHTS


def test_two_at_once():
    command = [BINARY, "pull", "hf:org/tiny"]
    both = [subprocess.Popen(command, env={**os.environ, **environment("d")}, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert weights_of("d") == WEIGHTS and downloads_are_clean("d")
    assert sum("already" in out for out, _ in outputs) == 1


def test_interrupt_and_resume():
    Hub.slow = True
    process = subprocess.Popen([BINARY, "pull", "hf:org/tiny"], env={**os.environ, **environment("e")},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    partial = work / "e/downloads/tiny/content/model.safetensors.part"
    deadline = time.time() + 60
    while not (partial.exists() and partial.stat().st_size > 100_000) and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    Hub.slow = False
    assert process.returncode == 130, (process.returncode, error)
    assert not (work / "e/models/tiny").exists() and partial.exists()
    (partial.parent / "special_tokens_map.json").write_text("of a commit that had one")
    Hub.requests.clear()
    result = run_json("pull", "hf:org/tiny", env=environment("e"))
    assert not (pathlib.Path(result["path"]) / "special_tokens_map.json").exists()
    assert any(entry[2] for entry in Hub.requests), "the second pull did not resume"
    assert weights_of("e") == WEIGHTS


def serve_https(handler):
    """The port of a server with TLS, and the certificate to trust."""
    certificate, key = work / "certificate.pem", work / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    secure.daemon_threads = True
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    return secure.server_address[1], certificate


def test_the_token_goes_to_an_https_mirror():
    port, certificate = serve_https(Hub)
    Hub.requests.clear()
    home = {**environment("token"), "HF_ENDPOINT": f"https://localhost:{port}", "CURL_CA_BUNDLE": str(certificate), "https_proxy": "",
            "no_proxy": "localhost"}
    result = run("pull", "hf:org/tiny", env=home)
    assert Hub.requests[0][3] == "Bearer secret-token" and "HF_TOKEN" not in result.stderr
    assert "HF_TOKEN is not sent" in run("pull", "hf:org/tiny", "--force", env=environment("token")).stderr


def test_https_never_mixes_versions():
    port, certificate = serve_https(Files)
    address = f"https://localhost:{port}/m.gguf"
    versions = [os.urandom(300_000), os.urandom(300_000)]
    # What is there is gone on with only where the file is certainly the same as then.
    for number, (before, after, resumed) in enumerate((('"one"', '"one"', True), ('"one"', '"two"', False), ("", "", False),
                                                       ('W/"one"', 'W/"one"', False))):
        home = {**environment(f"https{number}"), "CURL_CA_BUNDLE": str(certificate), "https_proxy": "", "no_proxy": "localhost"}
        Files.etag, Files.body, Files.cut_after = before, versions[0], 100_000
        process = subprocess.Popen([BINARY, "pull", address], env={**os.environ, **home}, stderr=subprocess.PIPE, text=True)
        line = process.stderr.readline()
        assert "trying again" in line, line
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        process.stderr.close()
        assert (work / f"https{number}/downloads/m/download.part").stat().st_size > 0
        Files.etag, Files.cut_after, Files.starts = after, None, []
        Files.body = versions[0] if resumed else versions[1]
        result = run_json("pull", address, env=home)
        assert pathlib.Path(result["path"]).read_bytes() == Files.body, (before, after)
        assert (Files.starts[0] > 0) == resumed, (before, after, Files.starts)


def test_refusals():
    assert "is the name right" in run("pull", "hf:org/none", env=environment("f"), expect=1).stderr
    run("pull", "hf:none", env=environment("f"), expect=2)
    run("pull", "http://127.0.0.1/x.gguf", env=environment("f"), expect=2)
    run("pull", "hf:org/tiny", "--sha256", "0" * 64, env=environment("f"), expect=2)


for test in (test_whole, test_resume, test_wrong_digest, test_two_at_once, test_interrupt_and_resume,
             test_the_token_goes_to_an_https_mirror, test_https_never_mixes_versions, test_refusals):
    if "https" in test.__name__ and shutil.which("openssl") is None:
        print("no openssl to make a certificate with for", test.__name__)
        continue
    test()
    print("passed", test.__name__)
