#!/usr/bin/env python3
"""gyro eval of a model behind a server: one that answers, ones that fail, stall, truncate, lie and lead elsewhere."""
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

GYRO = os.environ["GYRO"]
KEY = "sk-0123456789abcdef"


def answer_to(asked, tokens=5, **choice):
    """What a server answers to a question "What is N?": N, in a box."""
    number = re.findall(r"What is (\d+)\?", asked["messages"][-1]["content"])[-1]
    message = {"role": "assistant", "content": f"It is \\boxed{{{number}}}."}
    usage = {} if tokens is None else {"usage": {"completion_tokens": tokens}}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}], **usage}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with self.server.lock:
            self.server.listed.append(dict(self.headers))
        if self.path == "/v1/models":
            self.server.list_models(self)
        else:
            self.send(404, {})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.asked)
            server.asked.append((self.path, dict(self.headers), asked))
            server.now += 1
            server.most = max(server.most, server.now)
        try:
            server.behave(self, asked, number)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        finally:
            with server.lock:
                server.now -= 1


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, behave=lambda handler, asked, _: handler.send(200, answer_to(asked))):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave, self.lock, self.asked, self.listed, self.now, self.most = behave, threading.Lock(), [], [], 0, 0
        self.list_models = lambda handler: handler.send(200, {"object": "list", "data": [{"id": "m"}, {"id": "n"}]})
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_):
        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Endpoint(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = os.path.join(self.folder, "out")
        self.task = os.path.join(self.folder, "sums.jsonl")
        self.write_task(20)

    def write_task(self, count):
        with open(self.task, "w", encoding="utf-8") as f:
            for i in range(count):
                f.write(json.dumps({"question": f"What is {i + 100}?", "answer": str(i + 100)}) + "\n")

    def serve(self, behave=None):
        server = Server(behave) if behave else Server()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def command(self, server, *options, out=True):
        url = server if isinstance(server, str) else server.url
        return [GYRO, "eval", "--endpoint", url, "--model", "m", "--task", self.task, *options,
                *([] if "--temp" in options else ["--temp", "0"]), *(["--out", self.out] if out else [])]

    def environment(self, key=None):
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        kept.pop("OPENAI_API_KEY", None)
        return {**kept, "COLUMNS": "120", "NO_COLOR": "1", **({"OPENAI_API_KEY": key} if key is not None else {})}

    def run_gyro(self, server, *options, key=None, out=True):
        begin = time.monotonic()
        done = subprocess.run(self.command(server, *options, out=out), env=self.environment(key), capture_output=True,
                              text=True, timeout=120, check=False)
        self.seconds = time.monotonic() - begin
        return done

    def result(self):
        with open(os.path.join(self.out, "eval.json"), encoding="utf-8") as f:
            return json.load(f)

    def samples(self):
        with open(os.path.join(self.out, "samples.jsonl"), encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def passes(self, server, *options, **how):
        done = self.run_gyro(server, *options, **how)
        self.assertEqual((done.returncode, done.stderr.count("error")), (0, 0), done.stderr)
        self.assertEqual(self.result()["cells"][0]["accuracy"]["mean"], 1)
        return done

    def fails(self, server, message, *options, finished=False, **how):
        """One line, exit 1, and nothing that looks finished, unless it was before."""
        done = self.run_gyro(server, *options, "-q", **how)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Agyro: error: " + message + r"\n\Z")
        if os.path.exists(os.path.join(self.out, "eval.json")):
            self.assertEqual(self.result()["finished"], finished)
        return done

    def answers(self, body, **headers):
        """A server whose every answer has that body."""
        return self.serve(
            lambda handler, asked, _: handler.send(200, body(asked) if callable(body) else body, **headers))


class Answers(Endpoint):
    def test_asks_as_many_at_once_as_it_is_told(self):
        def behave(handler, asked, number):
            time.sleep(0.05 + 0.02 * (number % 5))  # answers come in another order than they were asked for
            handler.send(200, answer_to(asked))
        server = self.serve(behave)
        done = self.passes(server, "--concurrency", "6", "--repeats", "2", "--temp", "0.7", "--seed", "3",
                           "--system", "Sum.")
        self.assertIn(f"gyro: questions are put to m at {server.url}\n", done.stderr)
        self.assertIn("renders them by its own template", done.stderr)
        self.assertEqual((len(server.asked), server.most), (40, 6))
        for path, headers, asked in server.asked:
            self.assertEqual(path, "/v1/chat/completions")
            self.assertNotIn("Authorization", headers)
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual({name: asked[name] for name in ("model", "temperature", "top_p", "max_tokens", "stream")},
                             {"model": "m", "temperature": 0.7, "top_p": 0.95, "max_tokens": 1024, "stream": False})
            self.assertEqual([message["role"] for message in asked["messages"]], ["system", "user"])
            self.assertTrue(0 <= asked["seed"] < 2**31)
        self.assertEqual(len({asked["seed"] for _, _, asked in server.asked}), 40, "repeats draw anew")
        samples = self.samples()
        for sample in samples:
            self.assertIn(sample["question"], json.loads(sample["prompt"])[1]["content"])
            self.assertEqual((sample["tokens"], sample["finish"], sample["verdict"]), (5, "stop", "correct"))
        asked = [(sample["repeat"], int(sample["id"])) for sample in samples]
        self.assertNotEqual(asked, sorted(asked))
        result = self.result()
        self.assertEqual(result["models"], [{"role": "endpoint", "path": server.url, "identity": server.url},
                                            {"role": "model", "path": "m", "identity": "m"}])
        self.assertIsNone(result["options"]["dtype"])

    def test_slashes_at_the_end(self):
        server = self.serve()
        self.passes(server.url + "//")
        self.assertEqual(server.asked[0][0], "/v1/chat/completions")
        self.passes(server)
        self.assertEqual(len(server.asked), 20, "it is the same evaluation")

    def test_model_is_what_the_server_lists_alone(self):
        server = self.serve()
        server.list_models = lambda handler: handler.send(200, {"data": [{"id": "other"}]})
        self.assertIn(", which lists other alone\n", self.passes(server).stderr)
        self.assertEqual(self.result()["models"][1], {"role": "model", "path": "m", "identity": "other"})
        server.list_models = lambda handler: handler.send(404, b"")
        self.fails(server, ".*has an evaluation of other models.*--force.*", finished=True)
        self.passes(server, "--force")

    def test_ends_of_answers(self):
        def behave(handler, asked, number):
            if number % 2 == 0:
                handler.send(200, answer_to(asked))
            else:
                message = {"content": None, "reasoning_content": "Is it \\boxed{1}? Let me"}
                handler.send(200, answer_to(asked, 1024, finish_reason="length", message=message))
        self.assertEqual(self.run_gyro(self.serve(behave)).returncode, 0)
        cut = [sample for sample in self.samples() if sample["finish"] == "length"]
        self.assertEqual({(s["output"], s["verdict"]) for s in cut}, {("<think>Is it \\boxed{1}? Let me", "N/A")})
        self.assertEqual((len(cut), self.result()["cells"][0]["truncated"]), (10, 0.5))

    def test_length_that_is_not_said(self):
        done = self.passes(self.serve(
            lambda handler, asked, number: handler.send(200, answer_to(asked, 5 if number else None))))
        self.assertRegex(done.stdout, r"(?m)^.*100\.0 .* \? +0\.0 +0\.0")
        self.assertIn("?: not known", done.stdout)
        self.assertIsNone(self.result()["cells"][0]["tokens"])
        self.assertEqual(sorted(str(sample["tokens"]) for sample in self.samples()), ["5"] * 19 + ["None"])
        with open(os.path.join(self.out, "tables.md"), encoding="utf-8") as f:
            self.assertIn("?", f.read())

    def test_wrong_content_type_is_no_matter(self):
        for kind in (None, "text/html", "nonsense"):
            self.passes(self.answers(answer_to, Content_Type=kind), "--force")


class Failures(Endpoint):
    def once(self, fail, times=1):
        """A server that fails so for the first requests, and says what came of it."""
        def behave(handler, asked, number):
            if number < times:
                fail(handler)
            else:
                handler.send(200, answer_to(asked))
        return self.serve(behave)

    def test_is_told_to_wait(self):
        server = self.once(lambda handler: handler.send(429, {"error": {"message": "slow down"}}, Retry_After="2"))
        self.passes(server)
        self.assertEqual(len(server.asked), 21)
        self.assertGreater(self.seconds, 2)

    def test_passing_failures(self):
        def cut_off(handler):
            handler.send(200, b"{\"choices\"", Content_Length="5000")
            handler.close_connection = True

        def reset(handler):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            os.close(handler.connection.detach())
            handler.close_connection = True

        def bad_chunks(handler):
            handler.send(200, b"zz\r\nnonsense\r\n", Content_Length=None, Transfer_Encoding="chunked")
            handler.close_connection = True
        fails = [lambda handler, status=status: handler.send(status, b"busy")
                 for status in (408, 409, 429, 500, 502, 503, 529)]
        fails += [lambda handler: handler.send(200, b""), lambda handler: handler.send(200, b"{\"choices\": [{\"mess"),
                  cut_off, reset, bad_chunks]
        for i, fail in enumerate(fails):
            with self.subTest(i):
                server = self.once(fail, 2)
                self.passes(server, "--force", "--concurrency", "4")
                self.assertEqual(len(server.asked), 22)

    def test_failures_that_do_not_pass(self):
        def behave(handler, asked, number):
            if number < 7:
                handler.send(200, answer_to(asked))
            else:
                handler.send(500, {"error": {"message": "out of\nmemory"}})
        server = self.serve(behave)
        self.fails(server, re.escape(server.url) + ": no answer in 4 tries, at last: HTTP 500: out of.memory; "
                   "the same command goes on from there", "--retries", "3", "--concurrency", "1")
        self.assertEqual(len(server.asked), 7 + 4)
        self.assertTrue(0.8 < self.seconds < 10, self.seconds)
        server.behave = lambda handler, asked, _: handler.send(200, answer_to(asked))
        self.passes(server)
        self.assertEqual(len(server.asked), 7 + 4 + 13, "what came is kept")

    def test_stalls(self):
        server = self.once(lambda handler: time.sleep(3))
        self.passes(server, "--request-timeout", "1")
        self.assertGreaterEqual(len(server.asked), 21)
        self.assertGreater(self.seconds, 1)

        def trickle(handler, *_):
            handler.send(200, b" ", Content_Length="1000")
            for _ in range(100):
                time.sleep(0.1)
                handler.wfile.write(b" ")
        self.fails(self.serve(trickle), r".*: no answer in 2 tries, at last: no whole answer within 1 seconds; .*",
                   "--request-timeout", "1", "--retries", "1", "--force")
        self.assertLess(self.seconds, 8)

    def test_no_server(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        self.fails(url, r".*/v1: no answer in 4 tries, at last: .*[Cc]onnect.*")
        self.assertLess(self.seconds, 8)

    def test_refusals(self):
        for status, body, said in ((400, {"error": {"message": "no such model"}}, "HTTP 400: no such model"),
                                   (401, {"detail": "no key"}, "HTTP 401: no key"),
                                   (404, b"<h1>Not found</h1>", "HTTP 404: <h1>Not found</h1>"),
                                   (422, {"object": "error", "message": "x" * 1000}, "HTTP 422: x{320}\\.\\.\\."),
                                   (418, b"\x1b[31mred\xff", "HTTP 418: \\?\\[31mred\ufffd")):
            server = self.serve(lambda handler, asked, _, status=status, body=body: handler.send(status, body))
            self.fails(server, f".*/v1: {said}; .*", "--force", "--concurrency", "1")
            self.assertEqual(len(server.asked), 1, "asked but once")

    def test_bodies_that_are_no_answer(self):
        deep, large = b"[" * 100_000, b" " * (17 << 20)
        for body, said in ((b"<html>hello</html>", "the answer is not JSON: <html>hello</html>"),
                           (b"data: {}\n\ndata: [DONE]\n", "the answer is not JSON: data: .*"),
                           (b"\x00\x01\x02", "the answer is not JSON: .*"),
                           (deep, "the answer is JSON nested deeper than .*"),
                           (large, "its answer has more than 16777216 bytes"),
                           ({}, "the answer has no choices.*"),
                           ({"error": {"message": "broken"}}, "broken"),
                           (lambda asked: answer_to(asked, "many"), "says that .* has \"many\" .*"),
                           (lambda asked: answer_to(asked, -5), "says that .* has -5 .*"),
                           (lambda asked: answer_to(asked, 5000), "says that .* has 5000 .*"),
                           (lambda asked: answer_to(asked, finish_reason="content_filter"),
                            "an answer ended by \"content_filter\".*")):
            self.fails(self.answers(body), f".*/v1: {said}; the same command goes on from there", "--force")
            self.assertLess(self.seconds, 8)

    def test_not_http(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def talk():
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection:
                        connection.recv(100)
                        connection.sendall(b"SSH-2.0-x\r\n")
            threading.Thread(target=talk, daemon=True).start()
            self.fails(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", ".*/v1: .*")
            listener.shutdown(socket.SHUT_RDWR)


class Secrets(Endpoint):
    def everything(self, done):
        """All that a run has printed or written."""
        text = done.stdout + done.stderr
        for folder, _, names in os.walk(self.out):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    text += f.read()
        return text

    def test_key_goes_to_the_server_alone(self):
        def behave(handler, asked, _):
            message = {"content": f"You said {handler.headers['Authorization']}. \\boxed{{1}}"}
            handler.send(200, answer_to(asked, message=message))
        server = self.serve(behave)
        done = self.run_gyro(server, "--json", key=KEY)
        self.assertEqual(done.returncode, 0)
        self.assertEqual({headers["Authorization"] for _, headers, _ in server.asked}, {"Bearer " + KEY})
        self.assertEqual({headers["Authorization"] for headers in server.listed}, {"Bearer " + KEY})
        self.assertNotIn(KEY, self.everything(done))
        self.assertIn("You said Bearer [key].", self.samples()[0]["output"])
        for status in (401, 500):
            self.out = os.path.join(self.folder, str(status))
            server.behave = lambda handler, *_, status=status: handler.send(
                status, {"error": "bad key " + handler.headers["Authorization"]})
            done = self.fails(server, r".*bad key Bearer \[key\].*", "--retries", "0", key=KEY)
            self.assertNotIn(KEY, self.everything(done))
        server.list_models = lambda handler: handler.send(200, {"data": [{"id": KEY}]})
        self.assertNotIn(KEY, self.everything(self.run_gyro(server, "--force", "--retries", "0", key=KEY)))

    def test_key_that_is_none(self):
        for key in ("two words", "line\nX-Header: 1", "ü"):
            self.fails(self.serve(), "OPENAI_API_KEY: has a .*", key=key)

    def test_key_in_the_address(self):
        for address in (f"http://user:{KEY}@127.0.0.1/v1", f"http://{KEY}@127.0.0.1/v1",
                        f"http://127.0.0.1/v1?key={KEY}"):
            self.assertNotIn(KEY, self.fails(address, "--endpoint: has a .*").stderr)
        for address in ("127.0.0.1:80", "ftp://127.0.0.1/v1", "file:///etc/passwd", "nonsense"):
            self.fails(address, "--endpoint: is .*http://localhost:8000/v1.*")

    def test_redirects_are_not_followed(self):
        other = self.serve()
        for status in (301, 302, 307, 308):
            server = self.serve(lambda handler, *_, status=status: handler.send(
                status, b"", Location=other.url + "/chat/completions"))
            self.fails(server, rf".*/v1: HTTP {status}: leads to {other.url}/chat/completions, where .*", "--force",
                       key=KEY)
        self.assertEqual((other.asked, other.listed), ([], []))

    def test_certificates_are_verified(self):
        certificate, key = os.path.join(self.folder, "c.pem"), os.path.join(self.folder, "k.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = self.serve()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        self.fails(f"https://localhost:{port}/v1", ".*/v1: .*certificate.*", key=KEY)
        self.assertLess(self.seconds, 5, "another try will not do better")
        self.assertEqual((server.asked, server.listed), ([], []))
        os.environ["SSL_CERT_FILE"] = certificate  # whom the machine trusts
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        self.passes(f"https://localhost:{port}/v1", key=KEY)
        other_name = f"https://127.0.0.1:{port}/v1"
        self.fails(other_name, ".*/v1: .*certificate.*", "--force", key=KEY, finished=True)


class Runs(Endpoint):
    def begin(self, server, kept, *options):
        """Starts a run, and waits until it has kept so many answers."""
        run = subprocess.Popen(self.command(server, *options), env=self.environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
        path = os.path.join(self.out, "samples.jsonl")
        end = time.monotonic() + 30
        while not (os.path.exists(path) and len(self.samples()) >= kept):
            self.assertTrue(run.poll() is None and time.monotonic() < end)
            time.sleep(0.01)
        return run

    def hold_after(self, count):
        """A server that answers so many requests and lets the others wait."""
        def behave(handler, asked, number):
            if number >= count:
                time.sleep(20)
            handler.send(200, answer_to(asked))
        return self.serve(behave)

    def go_on(self, server, kept):
        asked = -1
        while asked != len(server.asked):  # what the ended run has sent may not have been read yet
            asked = len(server.asked)
            time.sleep(0.5)
        server.behave = lambda handler, asked, _: handler.send(200, answer_to(asked))
        self.passes(server)
        self.assertEqual(len(server.asked) - asked, 20 - kept, "only what is missing")
        self.assertEqual(len({sample["id"] for sample in self.samples()}), 20)

    def test_killed(self):
        server = self.hold_after(8)
        run = self.begin(server, 8, "--concurrency", "3")
        run.kill()
        run.communicate()
        self.go_on(server, 8)

    def test_ctrl_c(self):
        server = self.hold_after(8)
        run = self.begin(server, 8, "--concurrency", "3")
        begin = time.monotonic()
        run.send_signal(signal.SIGINT)
        _, error = run.communicate()
        self.assertLess(time.monotonic() - begin, 4)  # one, on a machine with nothing else to do
        self.assertEqual(run.returncode, 130)
        self.assertTrue(error.endswith("gyro: interrupted; the same command goes on from there\n"), error)
        self.go_on(server, 8)

    def test_ctrl_c_while_it_waits(self):
        server = self.serve(lambda handler, asked, number: handler.send(200, answer_to(asked)) if number < 5 else
                            handler.send(503, b"", Retry_After="1000"))
        run = self.begin(server, 5, "--concurrency", "1")
        time.sleep(0.3)
        begin = time.monotonic()
        run.send_signal(signal.SIGINT)
        run.communicate()
        self.assertLess(time.monotonic() - begin, 4)  # one, on a machine with nothing else to do
        self.assertEqual(run.returncode, 130)
        self.go_on(server, 5)

    def test_other_servers_and_models_are_other_evaluations(self):
        first, second = self.serve(), self.serve()
        self.passes(first)
        self.fails(second, ".*has an evaluation of other models.*", finished=True)
        command = self.command(first)
        command[command.index("m")] = "n"
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        self.assertIn("has an evaluation of other models", done.stderr)
        self.assertEqual((len(first.asked), len(second.asked)), (20, 0))

    def test_wrong_usage(self):
        server = self.serve()
        base = [GYRO, "eval", "--task", self.task]
        both = ["--endpoint", server.url, "--model", "m"]
        for options, said in (([*both, "--dtype", "bf16"], "--dtype"), ([*both, "--device", "cpu"], "--device"),
                              ([*both, "-t", "1"], "--threads"), ([*both, "--pre", "qwen2"], "--pre"),
                              ([*both, "somewhere"], "MODEL"), ([*both, "--base", "b", "--post", "p"], "--base"),
                              (both[:2], "--endpoint: needs --model"),
                              (["x", *both[2:]], "--model: goes with --endpoint"),
                              (["x", "--retries", "1"], "--retries"), ([*both, "--retries", "-1"], "--retries"),
                              ([*both, "--request-timeout", "0"], "--request-timeout")):
            done = subprocess.run([*base, *options], env=self.environment(), capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, rf"\Agyro: error: {said}.*\nTry 'gyro eval --help'\.\n\Z")
        self.assertEqual((server.asked, server.listed), ([], []))


if __name__ == "__main__":
    unittest.main()
