#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares src/picture with Pillow, OpenCV, NumPy and torchvision.

usage: check_picture.py path/to/picture_tool

Prints one line per check with the largest difference, and exits non-zero when one exceeds its
tolerance. Photographs are taken from the folder `images` of $SHARED, or of ../shared beside the
repository, when there is one.
"""
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

import cv2
import numpy as np
import torchvision.transforms as transforms
import torchvision.transforms.functional as functional
from PIL import Image, ImageOps

TOOL = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
SHARED = os.environ.get("SHARED", os.path.join(os.path.dirname(__file__), "../../../shared"))
TEMP = tempfile.TemporaryDirectory()
RANDOM = np.random.default_rng(20161007)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
counts = {True: 0, False: 0}


def path(name):
    return os.path.join(TEMP.name, name)


def report(name, difference, tolerance, note=""):
    ok = bool(difference <= tolerance)
    counts[ok] += 1
    print(f"{'ok    ' if ok else 'FAILED'} {name}: {difference:.3g} (allowed {tolerance:g}){note}")


def tool(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")


def tool_array(*arguments):
    tool(*arguments, path("out.npy"))
    return np.load(path("out.npy"))


def difference(a, b):
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0:
        return 0.0
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())


def check(name, tolerance, make):
    """make() gives the largest difference, or (difference, note)."""
    try:
        result = make()
    except Exception as problem:  # a check that cannot run has failed
        counts[False] += 1
        print(f"FAILED {name}: {problem}")
        return
    value, note = result if isinstance(result, tuple) else (result, "")
    report(name, value, tolerance, note)


def scene(width, height):
    """Smooth colours, sharp edges and noise: what resampling and chroma get wrong shows."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.stack([x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1),
                    127 + 127 * np.sin(x / 7 + y / 11)], 2)
    rgb[((x // 16 + y // 16) % 5) == 0] = (230, 30, 60)
    rgb += RANDOM.normal(0, 12, rgb.shape)
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def random_alpha(image):
    shape = image.size[::-1]
    image = image.copy()
    image.putalpha(Image.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8)))
    return image


def over_white(image):
    white = Image.new("RGB", image.size, (255, 255, 255))
    rgba = image.convert("RGBA")
    white.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return np.asarray(white)


# ---- Decoding ---------------------------------------------------------------------------------


def check_file(name, tolerance, reference=None):
    def run():
        wanted = reference
        if wanted is None:
            image = Image.open(path(name))
            wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        return difference(tool_array("decode", path(name)), wanted)
    check(f"decode {name}", tolerance, run)


def check_jpeg():
    picture = scene(157, 93)
    for subsampling in (0, 1, 2):
        picture.save(path(f"sub{subsampling}.jpg"), quality=90, subsampling=subsampling)
        check_file(f"sub{subsampling}.jpg", 0)
    picture.save(path("progressive.jpg"), progressive=True, quality=75)
    check_file("progressive.jpg", 0)
    picture.convert("L").save(path("grey.jpg"))
    check_file("grey.jpg", 0)
    picture.convert("CMYK").save(path("cmyk.jpg"), quality=95)
    check_file("cmyk.jpg", 0)
    # The same file marked by Adobe as YCCK: the decoder converts to CMYK first.
    data = bytearray(open(path("cmyk.jpg"), "rb").read())
    at = data.find(b"Adobe")
    data[at + 11] = 2
    open(path("ycck.jpg"), "wb").write(data)
    check_file("ycck.jpg", 0 if at > 0 else -1)


def check_orientation():
    picture = scene(61, 37)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for ending, options in (("jpg", {"quality": 95}), ("png", {}), ("webp", {"lossless": True})):
            name = f"orientation{orientation}.{ending}"
            picture.save(path(name), exif=exif, **options)
            check_file(name, 0)
        name = f"orientation{orientation}.tif"
        picture.save(path(name), tiffinfo={274: orientation})
        check_file(name, 0, cv2.imread(path(name))[..., ::-1])  # Pillow 9.4 turns TIFFs twice
    big = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    picture.save(path("big-endian.jpg"), exif=big)
    check_file("big-endian.jpg", 0)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(values, depth, colour, extra=b""):
    """values: height x width x channels, big-endian already."""
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour, 0, 0, 0)
    body = b"".join(b"\0" + row.tobytes() for row in values)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + extra +
            png_chunk(b"IDAT", zlib.compress(body)) + png_chunk(b"IEND", b""))


def interlaced_png(rgb):
    """Adam7: seven reduced pictures one after the other."""
    body = b""
    for y, x, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                         (0, 1, 2, 2), (1, 0, 2, 1)):
        part = rgb[y::dy, x::dx]
        if part.size:
            body += b"".join(b"\0" + row.tobytes() for row in part)
    head = struct.pack(">IIBBBBB", rgb.shape[1], rgb.shape[0], 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) +
            png_chunk(b"IDAT", zlib.compress(body)) + png_chunk(b"IEND", b""))


def check_png():
    picture = scene(83, 47)
    for mode in ("RGB", "L", "1"):
        picture.convert(mode).save(path(f"{mode}.png"))
        check_file(f"{mode}.png", 0)
    for colours in (2, 4, 16, 200):
        picture.quantize(colours).save(path(f"palette{colours}.png"))
        check_file(f"palette{colours}.png", 0)
    picture.quantize(50).save(path("palette-alpha.png"), transparency=bytes(range(0, 250, 5)))
    check_file("palette-alpha.png", 0, over_white(Image.open(path("palette-alpha.png"))))
    rgba = random_alpha(picture)
    rgba.save(path("rgba.png"))
    check_file("rgba.png", 0, over_white(rgba))
    grey_alpha = random_alpha(picture.convert("L"))
    grey_alpha.save(path("grey-alpha.png"))
    check_file("grey-alpha.png", 0, over_white(grey_alpha))
    picture.quantize(9).convert("RGB").save(path("key.png"), transparency=picture.quantize(9).convert(
        "RGB").getpixel((40, 20)))
    check_file("key.png", 0, over_white(Image.open(path("key.png"))))
    # A gamma chunk must not change a level.
    data = open(path("rgba.png"), "rb").read()
    gamma = png_chunk(b"gAMA", struct.pack(">I", 100000))
    open(path("gamma.png"), "wb").write(data[:33] + gamma + data[33:])
    check_file("gamma.png", 0, over_white(rgba))
    open(path("interlaced.png"), "wb").write(interlaced_png(np.asarray(picture)))
    check_file("interlaced.png", 0, np.asarray(picture))
    wide = RANDOM.integers(0, 65536, (20, 30, 4), dtype=np.uint16)
    open(path("rgb16.png"), "wb").write(raw_png(wide[..., :3].astype(">u2"), 16, 2))
    check_file("rgb16.png", 0, (wide[..., :3] >> 8))
    open(path("grey16.png"), "wb").write(raw_png(wide[..., :1].astype(">u2"), 16, 0))
    check_file("grey16.png", 0, np.repeat(wide[..., :1] >> 8, 3, 2))
    open(path("rgba16.png"), "wb").write(raw_png(wide.astype(">u2"), 16, 6))
    colour, alpha = wide[..., :3].astype(np.int64), wide[..., 3:].astype(np.int64)
    blended = (colour * alpha + 65535 * (65535 - alpha) + 32767) // 65535
    check_file("rgba16.png", 0, blended >> 8)  # blended at 16 bits, then the high byte


def check_webp():
    picture = scene(101, 67)
    picture.save(path("lossy.webp"), quality=80)
    check_file("lossy.webp", 0)
    picture.save(path("lossless.webp"), lossless=True)
    check_file("lossless.webp", 0)
    for lossless in (False, True):
        name = f"alpha-{'lossless' if lossless else 'lossy'}.webp"
        random_alpha(picture).save(path(name), lossless=lossless, exact=True)
        check_file(name, 0, over_white(Image.open(path(name))))


def check_tiff():
    picture = scene(75, 52)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        picture.save(path(f"{compression}.tif"), compression=compression)
        check_file(f"{compression}.tif", 0)
    for mode in ("L", "1", "P"):
        image = picture.quantize(40) if mode == "P" else picture.convert(mode)
        image.save(path(f"{mode}.tif"))
        check_file(f"{mode}.tif", 0)
    picture.convert("CMYK").save(path("cmyk.tif"))
    check_file("cmyk.tif", 1)
    rgba = random_alpha(picture)
    rgba.save(path("rgba.tif"))
    check_file("rgba.tif", 1, over_white(rgba))
    cv2.imwrite(path("rgb16.tif"), RANDOM.integers(0, 65536, (20, 30, 3), dtype=np.uint16))
    check_file("rgb16.tif", 1, cv2.imread(path("rgb16.tif"))[..., ::-1])


def bmp(width, height, bits, rows, masks=(), palette=b"", header=40):
    """rows: as stored; a negative height means top-down."""
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, 3 if masks else 0, 0, 0, 0,
                       len(palette) // 4, 0) + b"".join(struct.pack("<I", m) for m in masks)
    info += bytes(max(0, header - len(info)))
    body = b"".join(r.tobytes() + bytes(-len(r.tobytes()) % 4) for r in rows)
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def check_bmp():
    picture = scene(29, 18)
    rgb = np.asarray(picture)
    for mode in ("RGB", "L", "1", "P"):
        image = picture.quantize(99) if mode == "P" else picture.convert(mode)
        image.save(path(f"{mode}.bmp"))
        check_file(f"{mode}.bmp", 0)
    index = RANDOM.integers(0, 16, (18, 29))
    palette = RANDOM.integers(0, 256, (16, 4), dtype=np.uint8)
    padded = np.pad(index, ((0, 0), (0, 1)))
    packed = (padded[:, ::2] << 4 | padded[:, 1::2]).astype(np.uint8)
    open(path("4bit.bmp"), "wb").write(bmp(29, -18, 4, packed, palette=palette.tobytes()))
    check_file("4bit.bmp", 0, palette[index][..., 2::-1])
    words = RANDOM.integers(0, 65536, (18, 29), dtype=np.uint16)
    open(path("555.bmp"), "wb").write(bmp(29, 18, 16, words))
    check_file("555.bmp", 0)
    open(path("565.bmp"), "wb").write(bmp(29, 18, 16, words, masks=(0xf800, 0x7e0, 0x1f)))
    check_file("565.bmp", 0)
    bgrx = np.concatenate([rgb[..., ::-1], np.full((18, 29, 1), 7, np.uint8)], 2)
    open(path("32bit.bmp"), "wb").write(bmp(29, -18, 32, bgrx))
    check_file("32bit.bmp", 0, rgb)
    alpha = RANDOM.integers(0, 256, (18, 29, 4), dtype=np.uint8)
    open(path("v5.bmp"), "wb").write(bmp(
        29, 18, 32, alpha[::-1], masks=(0xff0000, 0xff00, 0xff, 0xff000000), header=124))
    check_file("v5.bmp", 0, over_white(Image.fromarray(alpha[..., [2, 1, 0, 3]])))
    core = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, 29, 18, 1, 24)
    core += b"".join(r[:, ::-1].tobytes() + bytes(-29 * 3 % 4) for r in rgb[::-1])
    open(path("core.bmp"), "wb").write(core)
    check_file("core.bmp", 0, rgb)


# ---- Resizing and preprocessing ---------------------------------------------------------------

SIZES = ((1, 1), (1, 500), (500, 1), (640, 427), (4000, 3000))
FILTERS = {0: Image.NEAREST, 1: Image.LANCZOS, 2: Image.BILINEAR, 3: Image.BICUBIC, 4: Image.BOX,
           5: Image.HAMMING}


def check_resize():
    for width, height in SIZES:
        picture = scene(width, height)
        name = path("resize.bmp")
        picture.save(name)
        targets = ((224, 224), (1, 1), (333, 97), (700, 500), (width, 150), (150, height))
        for number, pillow in FILTERS.items():
            check(f"resize {width}x{height} filter {number}", 0, lambda: max(
                difference(tool_array("resize", name, *target, number),
                           np.asarray(picture.resize(target, pillow))) for target in targets))


def torchvision_tensor(picture, fit, edge, width, height):
    if fit == "stretch":
        steps = [transforms.Resize((height, width))]
    else:
        steps = [transforms.Resize(edge), transforms.CenterCrop((height, width))]
    return transforms.Compose(steps + [transforms.ToTensor(),
                                       transforms.Normalize(MEAN, STD)])(picture).numpy()


def levels(found, wanted):
    """Largest difference before normalisation in levels of 255; the mean must be below 0.02."""
    if found.shape != wanted.shape:
        return float("inf")
    apart = np.abs(found.astype(np.float64) - wanted) * np.array(STD)[:, None, None] * 255
    note = f", mean {apart.mean():.3g} levels"
    return (float(apart.max()) if apart.mean() <= 0.02 else float("inf")), note


def check_torchvision(name, picture, file):
    for fit, edge, width, height in (("stretch", 0, 224, 224), ("stretch", 0, 320, 200),
                                     ("crop", 256, 224, 224), ("crop", 232, 224, 224),
                                     ("crop", 100, 224, 160), ("crop", 257, 224, 192)):
        check(f"preprocess {name} {fit} {edge} to {width}x{height}", 1e-3, lambda: levels(
            tool_array("preprocess", file, "torchvision", fit, edge, width, height, 3),
            torchvision_tensor(picture, fit, edge, width, height)))


def check_preprocess():
    for width, height in SIZES + ((427, 640), (225, 301)):
        picture = scene(width, height)
        picture.save(path("preprocess.bmp"))
        check_torchvision(f"{width}x{height}", picture, path("preprocess.bmp"))
    picture = scene(403, 251)
    file = path("presets.png")
    picture.save(file)
    small = picture.resize((96, 80), Image.BILINEAR)
    plain = np.asarray(small).astype(np.float64).transpose(2, 0, 1)
    caffe = plain[::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]
    for preset, wanted in (("tf", plain / 127.5 - 1), ("caffe", caffe), ("unit", plain / 255),
                           ("raw", plain)):
        check(f"preset {preset}", 1e-4, lambda: difference(
            tool_array("preprocess", file, preset, "auto", 0, 96, 80, 3), wanted))
    timm = transforms.Compose([
        transforms.Resize(256, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224),
        transforms.ToTensor(), transforms.Normalize(MEAN, STD)])(picture).numpy()
    check("preset timm (bicubic, crop 0.875)", 1e-5, lambda: difference(
        tool_array("preprocess", file, "timm", "auto", 0, 224, 224, 3), timm))
    grey = np.asarray(small.convert("L")) / 255.0
    check("preset torchvision, 1 channel", 1e-5, lambda: difference(
        tool_array("preprocess", file, "torchvision", "stretch", 0, 96, 80, 1)[0],
        (grey - np.mean(MEAN)) / np.mean(STD)))


def letterbox(picture, width, height):
    """Ultralytics' LetterBox, with Pillow's resampling."""
    ratio = min(height / picture.height, width / picture.width)
    w, h = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    canvas = Image.new("RGB", (width, height), (114, 114, 114))
    canvas.paste(picture.resize((w, h), Image.BILINEAR),
                 (round((width - w) / 2 - 0.1), round((height - h) / 2 - 0.1)))
    return np.asarray(canvas).transpose(2, 0, 1) / 255.0


def check_letterbox():
    for size in ((640, 427), (427, 640), (333, 500), (100, 100), (1, 500), (1000, 501)):
        picture = scene(*size)
        picture.save(path("letterbox.png"))
        for target in ((224, 224), (640, 384)):
            check(f"letterbox {size} to {target}", 1e-6, lambda: difference(
                tool_array("preprocess", path("letterbox.png"), "unit", "letterbox", 0, *target, 3),
                letterbox(picture, *target)))


def check_json():
    picture = scene(500, 333)
    picture.save(path("json.png"))
    half, modes = [0.5] * 3, transforms.InterpolationMode

    def run(name, config, steps, filter_, mean=half, std=half):
        json.dump({"image_mean": mean, "image_std": std, **config}, open(path("config.json"), "w"))
        image = picture
        for kind, size in steps:
            image = (functional.resize(image, size, filter_) if kind == "resize"
                     else functional.center_crop(image, size))
        wanted = functional.normalize(functional.to_tensor(image), mean, std).numpy()
        check(f"config of {name}", 1e-5, lambda: difference(
            tool_array("json", path("json.png"), path("config.json")), wanted))
    square = {"height": 224, "width": 224}
    run("ViT", {"do_normalize": True, "do_resize": True, "resample": 2, "size": 224},
        [("resize", (224, 224))], modes.BILINEAR)
    run("MobileNetV2", {"resample": 2, "size": {"shortest_edge": 256}, "do_center_crop": True,
                        "crop_size": square, "rescale_factor": 0.00392156862745098},
        [("resize", 256), ("crop", (224, 224))], modes.BILINEAR)
    run("DeiT", {"resample": 3, "size": {"height": 256, "width": 256}, "do_center_crop": True,
                 "crop_size": square}, [("resize", (256, 256)), ("crop", (224, 224))], modes.BICUBIC)
    run("ConvNeXt", {"resample": 3, "size": {"shortest_edge": 224}, "crop_pct": 0.875},
        [("resize", 256), ("crop", (224, 224))], modes.BICUBIC, MEAN, STD)
    run("EfficientNet", {"resample": 0, "size": {"height": 346, "width": 346},
                         "do_center_crop": False, "crop_size": {"height": 289, "width": 289}},
        [("resize", (346, 346))], modes.NEAREST)


# ---- Maps and colours -------------------------------------------------------------------------


def check_maps():
    for map_size, size in (((7, 7), (640, 427)), ((7, 7), (224, 224)), ((14, 10), (4000, 3000)),
                           ((1, 1), (30, 20)), ((7, 5), (1, 500)), ((56, 56), (28, 28)),
                           ((50, 40), (33, 17)), ((2, 9), (500, 1))):
        values = RANDOM.random(map_size[::-1], dtype=np.float32)
        np.save(path("map.npy"), values)
        wanted = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR).reshape(size[::-1])
        check(f"map {map_size} to {size}", 1e-5, lambda: difference(
            tool_array("resizemap", path("map.npy"), *size), wanted))
        for network in ((224, 224), (299, 200)):
            check(f"view stretch {map_size} to {size} by {network}", 1e-5, lambda: difference(
                run_mapview("stretch", 0, size, network)[0], wanted))
    for fit in ("crop", "letterbox"):
        for size in ((640, 427), (427, 640), (300, 900), (224, 224)):
            check(f"view {fit} {size}", 1e-5, lambda: check_view(fit, size))


def run_mapview(fit, edge, size, network):
    tool("mapview", path("map.npy"), fit, edge, *size, *network, path("out.npy"), path("seen.npy"))
    return np.load(path("out.npy")), np.load(path("seen.npy"))


def check_view(fit, size):
    """In float64: for every picture pixel its place in the input, then the map there."""
    values = RANDOM.random((7, 9), dtype=np.float32)
    np.save(path("map.npy"), values)
    network = (224, 192)
    found, found_seen = run_mapview(fit, 256, size, network)
    if fit == "crop":
        scaled = [256 if s == min(size) else int(256 * s / min(size)) for s in size]
        offset = [-round((scaled[i] - network[i]) / 2) for i in (0, 1)]
    else:
        ratio = min(network[0] / size[0], network[1] / size[1])
        scaled = [round(s * ratio) for s in size]
        offset = [round((network[i] - scaled[i]) / 2 - 0.1) for i in (0, 1)]
    low, part, inside = [], [], []
    for i, cells in enumerate((9, 7)):
        at = (np.arange(size[i]) + 0.5) * scaled[i] / size[i] + offset[i]
        inside.append((at >= 0) & (at < network[i]))
        position = np.clip(at * cells / network[i] - 0.5, 0, cells - 1)
        low.append(np.minimum(position.astype(int), cells - 2))
        part.append(position - low[-1])
    wanted = 0
    for dy in (0, 1):
        for dx in (0, 1):
            corner = values.astype(np.float64)[np.ix_(low[1] + dy, low[0] + dx)]
            wanted = wanted + corner * (part[0] if dx else 1 - part[0]) * (
                part[1] if dy else 1 - part[1])[:, None]
    seen = inside[1][:, None] & inside[0]
    if not np.array_equal(seen, found_seen > 0):
        return float("inf"), ", seen pixels differ"
    return difference(found, np.where(seen, wanted, 0)), f", {seen.mean():.0%} seen"


def check_colours():
    ramp = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    for name in ("jet", "turbo", "viridis", "inferno", "magma", "cividis", "hot"):
        wanted = cv2.applyColorMap(ramp, getattr(cv2, "COLORMAP_" + name.upper()))[:, 0, ::-1]
        check(f"colour map {name}", 0, lambda: difference(tool_array("colormap", name), wanted))
    check("colour map grey", 0, lambda: difference(tool_array("colormap", "grey"),
                                                   np.repeat(ramp, 3, 1)))
    for width, height in ((640, 427), (1, 1), (1, 500)):
        picture = scene(width, height)
        picture.save(path("overlay.bmp"))
        values = RANDOM.random((height, width), dtype=np.float32)
        values.flat[:3] = (0, 1, 0.5)[:values.size]
        np.save(path("overlay.npy"), values)
        heat = np.ascontiguousarray(
            cv2.applyColorMap((255 * values).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1])
        for alpha in (0.4, 0.5, 0.25, 1.0, 0.0):
            check(f"overlay {width}x{height} alpha {alpha}", 0, lambda: difference(
                run_overlay(alpha),
                cv2.addWeighted(np.asarray(picture), 1 - alpha, heat, alpha, 0).reshape(
                    heat.shape)))
        check(f"heat map {width}x{height}", 0, lambda: difference(run_overlay(2), heat))


def run_overlay(alpha):
    tool("overlay", path("overlay.bmp"), path("overlay.npy"), "jet", alpha, path("overlay.png"))
    return np.asarray(Image.open(path("overlay.png")))


# ---- Writing ----------------------------------------------------------------------------------


def check_writing():
    picture = scene(321, 123)
    picture.save(path("write.bmp"))

    def written(name):
        tool("write", path("write.bmp"), 92, path(name))
        return np.asarray(Image.open(path(name)).convert("RGB")).astype(np.float64)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    check("write PNG", 0, lambda: difference(written("a.PNG"), np.asarray(picture)))
    for name in ("a.jpg", "a.JPEG"):
        check(f"write {name}", 0, lambda: difference(written(name), np.asarray(Image.open(buffer))))
    check("write WebP (mean)", 12, lambda: float(np.abs(written("a.webp") - picture).mean()))
    check("temporary files left", 0, lambda: float(sum(
        name.startswith(".gradcam") for name in os.listdir(TEMP.name))))


def check_npy():
    for shape in ((), (0,), (5,), (3, 4), (1, 3, 7, 7), (1,) * 8):
        for kind in (np.float32, np.float64, np.uint8):
            array = np.asarray(RANDOM.random(shape) * 255).astype(kind)
            np.save(path("in.npy"), array)
            check(f"npy {shape} {np.dtype(kind)}", 0, lambda: difference(
                tool_array("npy", path("in.npy")), array.astype(np.float32)))
    for version in ((2, 0), (3, 0)):
        with open(path("in.npy"), "wb") as file:
            np.lib.format.write_array(file, np.arange(6, dtype=np.float32).reshape(2, 3), version)
        check(f"npy version {version[0]}", 0, lambda: difference(
            tool_array("npy", path("in.npy")), np.arange(6.0).reshape(2, 3)))


def check_photographs():
    folder = os.path.join(SHARED, "images")
    if not os.path.isdir(folder):
        print("skipped: photographs: no folder 'images' in $SHARED or ../shared")
        return
    for name in sorted(os.listdir(folder)):
        if not name.endswith((".jpg", ".png")):
            continue
        file = os.path.join(folder, name)
        picture = ImageOps.exif_transpose(Image.open(file))
        if picture.mode in ("RGBA", "LA", "P"):
            picture = Image.fromarray(over_white(picture))
        picture = picture.convert("RGB")
        check(f"decode {name}", 0, lambda: difference(tool_array("decode", file),
                                                      np.asarray(picture)))
        check_torchvision(name, picture, file)


for part in (check_jpeg, check_orientation, check_png, check_webp, check_tiff, check_bmp,
             check_resize, check_preprocess, check_letterbox, check_json, check_maps, check_colours,
             check_writing, check_npy, check_photographs):
    part()
print(f"{counts[True]} passed, {counts[False]} failed")
sys.exit(1 if counts[False] else 0)
