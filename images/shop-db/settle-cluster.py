#!/usr/bin/python3
"""Makes a fresh, stopped PostgreSQL 15 cluster the same bytes at every build.

After initdb and pg_resetwal only pg_control and the one write-ahead log segment differ between two builds: the system
identifier, times, a nonce and the checksums over them. Layout: PostgreSQL 15, catalog/pg_control.h and access/xlog*.h.
"""

import pathlib
import struct
import sys

EPOCH = int(sys.argv[2])
IDENTIFIER = EPOCH << 32
NONCE_SIZE = 32
CHECKPOINT = slice(40, 128)  # in pg_control
CHECKPOINT_TIME = 64  # in the checkpoint
SEGMENT_HEADER = 40
RECORD_HEADER = 24
RECORD_CRC = 20

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(*parts):
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def settle_control(path):
    data = bytearray(path.read_bytes())
    ends = (at for at in range(200, 400, 4) if crc32c(data[:at]) == struct.unpack_from('<I', data, at)[0])
    end = next(ends)
    struct.pack_into('<Q', data, 0, IDENTIFIER)
    struct.pack_into('<q', data, 24, EPOCH)
    struct.pack_into('<q', data, CHECKPOINT.start + CHECKPOINT_TIME, EPOCH)
    data[end - NONCE_SIZE : end] = bytes(NONCE_SIZE)
    struct.pack_into('<I', data, end, crc32c(data[:end]))
    path.write_bytes(data)
    return bytes(data[CHECKPOINT])


def settle_segment(path, checkpoint):
    data = bytearray(path.read_bytes())
    struct.pack_into('<Q', data, 24, IDENTIFIER)
    (length,) = struct.unpack_from('<I', data, SEGMENT_HEADER)
    record = data[SEGMENT_HEADER : SEGMENT_HEADER + length]
    record[-len(checkpoint) :] = checkpoint
    struct.pack_into('<I', record, RECORD_CRC, crc32c(record[RECORD_HEADER:], record[:RECORD_CRC]))
    data[SEGMENT_HEADER : SEGMENT_HEADER + length] = record
    path.write_bytes(data)


cluster = pathlib.Path(sys.argv[1])
(segment,) = (cluster / 'pg_wal').glob('0*')
settle_segment(segment, settle_control(cluster / 'global' / 'pg_control'))
for stale in (cluster / 'pg_stat').iterdir():
    stale.unlink()
