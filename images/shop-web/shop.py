#!/usr/bin/python3
"""The web half of the shop: one page with the products that are in the database, and which machines answered."""

import html
import os
import platform
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tandem shop</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #223 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #cdd }}
td.number, th.number {{ text-align: right; font-variant-numeric: tabular-nums }}
footer {{ margin-top: 2rem; color: #567; font-size: .9rem }}
</style>
</head>
<body>
<h1>Tandem shop</h1>
<table>
<tr><th>Product</th><th class="number">Price</th><th class="number">In stock</th></tr>
{rows}
</table>
<footer>
<p>This page was made by container <b>{pod}</b> (Linux {kernel}).</p>
<p>The rows came from <b>{version}</b> at {address}, machine <b>{machine}</b> (Linux {machine_kernel}).</p>
</footer>
</body>
</html>
"""

# What only the database's own machine can say; it writes its name and kernel into the table when it starts.
SERVER = 'SELECT version(), host(inet_server_addr()), name, kernel FROM machine'


def connect():
    return psycopg2.connect(
        host=os.environ.get('DB_HOST', 'db'),
        port=os.environ.get('DB_PORT', '5432'),
        dbname=os.environ['DB_NAME'],
        user=os.environ['DB_USER'],
        password=os.environ['DB_PASSWORD'],
        connect_timeout=3,
        application_name=socket.gethostname(),
    )


def query(*statements):
    """One answer for each statement, over a connection of its own: the database may have been restarted in between."""
    connection = connect()
    try:
        with connection.cursor() as cursor:
            answers = []
            for statement in statements:
                cursor.execute(statement)
                answers.append(cursor.fetchall())
            return answers
    finally:
        connection.close()


def page():
    products, server = query('SELECT name, price, stock FROM products ORDER BY id', SERVER)
    version, address, machine, machine_kernel = server[0]
    rows = '\n'.join(
        f'<tr><td>{html.escape(name)}</td><td class="number">{price:.2f} €</td><td class="number">{stock}</td></tr>'
        for name, price, stock in products
    )
    return PAGE.format(
        rows=rows,
        pod=html.escape(socket.gethostname()),
        kernel=html.escape(platform.release()),
        version=html.escape(' '.join(version.split()[:2])),
        address=html.escape(address),
        machine=html.escape(machine),
        machine_kernel=html.escape(machine_kernel),
    )


class Shop(BaseHTTPRequestHandler):
    server_version = 'tandem-shop'

    def do_GET(self):
        try:
            if self.path == '/':
                self.answer(200, page(), 'text/html; charset=utf-8')
            elif self.path == '/ready':
                query('SELECT 1 FROM products LIMIT 1')
                self.answer(200, 'ready\n')
            elif self.path == '/live':
                self.answer(200, 'alive\n')
            else:
                self.answer(404, 'There is no such page.\n')
        except psycopg2.Error as error:
            self.answer(503, f'The database does not answer: {error}\n')

    def answer(self, code, text, kind='text/plain; charset=utf-8'):
        body = text.encode()
        self.send_response(code)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code='-', size='-'):
        # A probe each second would be all that the log shows.
        if self.path == '/' or code != 200:
            super().log_request(code, size)


def serve():
    port = int(os.environ.get('PORT', '8080'))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f'The shop listens on port {port}', flush=True)
    ThreadingHTTPServer(('', port), Shop).serve_forever()


serve()
