"""
wav.py - writes and reads WAV files without takt's help, as plain lists of numbers.

Integer samples are integers of their own format (u8 from 0 to 255), f32 samples are floats. Frames
are tuples, one number a channel.
"""
import functools
import struct

FORMATS = {"u8": (1, 8), "s16": (1, 16), "s24": (1, 24), "s32": (1, 32), "f32": (3, 32)}


def pack(name, value):
    if name == "f32":
        return struct.pack("<f", value)
    return value.to_bytes(FORMATS[name][1] // 8, "little", signed=name != "u8")


def unpack(name, data):
    if name == "f32":
        return struct.unpack("<f", data)[0]
    return int.from_bytes(data, "little", signed=name != "u8")


def write(path, name, frames, channels=1, rate_hz=48000):
    data = b"".join(pack(name, sample) for frame in frames for sample in frame)
    write_bytes(path, name, data, channels, rate_hz)


def write_bytes(path, name, data, channels=1, rate_hz=48000):
    """The same of samples that are bytes already."""
    tag, bits = FORMATS[name]
    head = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * channels * bits // 8,
                       channels * bits // 8, bits)
    padding = b"\0" * (len(data) % 2)
    body = (b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" +
            struct.pack("<I", len(data)) + data + padding)
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(body)) + body)


class Read:
    """name, channels, rate_hz, data (its samples as bytes) and frames of a file."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        assert data[:4] == b"RIFF" and data[8:12] == b"WAVE", f"{path} is no WAV"
        at, body = 12, None
        while at + 8 <= len(data):
            chunk, size = data[at:at + 4], struct.unpack_from("<I", data, at + 4)[0]
            if chunk == b"fmt ":
                tag, self.channels, self.rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", data,
                                                                                  at + 8)
                if tag == 0xFFFE:
                    tag = struct.unpack_from("<H", data, at + 32)[0]
            if chunk == b"data":
                body = data[at + 8:at + 8 + size]
            at += 8 + size + size % 2
        self.name = {v: k for k, v in FORMATS.items()}[(tag, bits)]
        self.data = body

    @functools.cached_property
    def frames(self):
        size = FORMATS[self.name][1] // 8
        samples = [unpack(self.name, self.data[i:i + size]) for i in range(0, len(self.data), size)]
        return [tuple(samples[i:i + self.channels])
                for i in range(0, len(samples), self.channels)]
