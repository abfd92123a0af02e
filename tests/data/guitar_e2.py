#!/usr/bin/env python3
"""
guitar_e2.py - makes guitar_e2.wav, the low E string of a guitar, plucked once.

    tests/data/guitar_e2.py tests/data/guitar_e2.wav

A stiff string by its modes: partial k at k·f0·sqrt(1 + B·k²), as loud as a pluck at a fifth of the
string makes it (sin(πk/5)/k²) and a magnetic pickup near the bridge hears it. Each partial is two
polarisations a little apart, which beat and die away in times of their own, the higher the sooner
(C. Valette, in Mechanics of Musical Instruments, 1995). The pluck stretches the string, so the pitch
begins some cents high and sinks; pick noise, hum and hiss are there, too.

Only Python's own library; the same bytes on every run.
"""
import math
import random
import struct
import sys

RATE_HZ = 44100
SECONDS = 1.6
PLUCK_S = 0.06
F1_HZ = 82.55  # of the first partial, once the pluck is over: E2 + 3.00 cents at A4 = 440 Hz
STRETCH = 7e-5
GLIDE_CENTS, GLIDE_S = 4.0, 0.12
PARTIALS = 45


def main(path):
    chance = random.Random(82)
    frames = int(RATE_HZ * SECONDS)
    first = int(RATE_HZ * PLUCK_S)
    sound = [0.0] * frames
    base_hz = F1_HZ / math.sqrt(1 + STRETCH)
    # The phase that the glide adds, in periods of a partial: its integral, once for all partials.
    glide, ahead = [], 0.0
    for i in range(frames - first):
        t = i / RATE_HZ
        glide.append(ahead)
        ahead += (2 ** (GLIDE_CENTS / 1200 * math.exp(-t / GLIDE_S)) - 1) / RATE_HZ
    for k in range(1, PARTIALS + 1):
        hz = k * base_hz * math.sqrt(1 + STRETCH * k * k)
        plucked = abs(math.sin(math.pi * k / 5.07)) / k ** 2
        heard = abs(math.sin(math.pi * k * 0.11)) * k  # the pickup's place, and it hears velocity
        # Half of the pluck each, at most 0.06 cents to either side, dying away in turn.
        for side, share in ((1, 0.62), (-1, 0.38)):
            at_hz = hz * 2 ** (side * (1 - share) * 0.12 / 1200)
            fall_s = (2.6 if side > 0 else 1.1) / (1 + 0.045 * k + 0.0035 * k * k)
            phase = chance.uniform(-0.2, 0.2)
            level = plucked * heard * share
            for i in range(frames - first):
                t = i / RATE_HZ
                if t > 7 * fall_s:
                    break
                rise = 1 - math.exp(-t / 0.0012)
                sound[first + i] += level * rise * math.exp(-t / fall_s) * math.sin(
                    2 * math.pi * at_hz * (t + glide[i]) + phase)
    low = 0.0
    for i in range(frames):
        t = i / RATE_HZ - PLUCK_S
        low += 0.35 * (chance.gauss(0, 1) - low)
        if t > -0.004:
            sound[i] += 0.05 * low * math.exp(-abs(t) / 0.005)
        sound[i] += 0.0004 * math.sin(2 * math.pi * 50 * i / RATE_HZ) + 0.0003 * chance.gauss(0, 1)
    most = max(abs(x) for x in sound)
    words = [round(20000 * x / most + chance.uniform(-0.5, 0.5)) for x in sound]
    data = struct.pack(f"<{frames}h", *words)
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
                   struct.pack("<IHHIIHH", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16) +
                   b"data" + struct.pack("<I", len(data)) + data)


main(sys.argv[1])
