#!/bin/bash
# Guess:   a body with Content-Encoding: gzip is unpacked whole, as gzip, requests and all readers
#          of .gz do, though it has several members: `cat a.gz b.gz` is a gzip file as well.
# Instead: httpx gives the first member alone, without an error, though all bytes that were
#          announced came: a table served so is short, and ends with a whole line.
# Seen:    httpx 0.28.1: 2 of 4 rows; requests 2.34.2: 4 rows (Python 3.11.7)
# Source:  httpx/_decoders.py: GZipDecoder has one zlib.decompressobj, and leaves its unused_data
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" httpx==0.28.1 requests==2.34.2
export no_proxy=127.0.0.1

"$python" - <<'PY'
import gzip
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import requests
from finding import show

BODY = gzip.compress(b"1,0\n2,1\n") + gzip.compress(b"3,0\n4,1\n")


class Table(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Table)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/table.csv"

whole = b"1,0\n2,1\n3,0\n4,1\n"
show("gzip", gzip.decompress(BODY), whole)
show("requests", requests.get(address).content, whole)
show("httpx", httpx.get(address).content, b"1,0\n2,1\n")
with httpx.stream("GET", address) as response:
    show("httpx, in pieces", b"".join(response.iter_bytes()), b"1,0\n2,1\n")
    show("bytes that came", response.num_bytes_downloaded, len(BODY))
server.shutdown()
PY
