# SPDX-License-Identifier: Apache-2.0
"""Scenes of everyday things with known boxes and masks, from material in Debian's packages.

Things are glyphs of fonts-noto-color-emoji (OFL-1.1). Backgrounds are the wallpapers of
plasma-workspace-wallpapers, mate-backgrounds and gnome-backgrounds, the photographs of
python3-skimage, and noise. Scene number `index` of a split is the same on every machine.

A split keeps its own variants and backgrounds: no variant and no background of "test" is in "train".
A variant is a glyph; of a class without a glyph to spare it is a tint: the training leaves out a band of
hues on either side, and "test" shows nothing else.

Scenes of the training are varied beyond those of the test: they recolour, mix and turn the few backgrounds
there are, show more kinds of clutter, and stretch and recolour things more.
"""
import glob
import itertools
import math
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 224
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"

# Class: glyphs of the training, glyphs held out (none: tested by tint), largest change of hue in degrees.
CLASSES = {
    "cat": ("🐈 🐈‍⬛ 🐱 😺 😸 😹 😿 😽", "😼 😾", 20),
    "dog": ("🐕 🐶 🐩 🐕‍🦺", "🦮", 20),
    "monkey": ("🐒 🐵 🙈 🙊", "🙉", 20),
    "horse": ("🐎 🐴 🏇🏻 🏇🏿", "🏇🏽 🏇🏼", 20),
    "mouse": ("🐁 🐭 🐀", "", 20),
    "bird": ("🐦 🐤 🐣", "🐥", 20),
    "fish": ("🐟 🐠", "", 40),
    "frog": ("🐸", "", 20),
    "turtle": ("🐢", "", 20),
    "penguin": ("🐧", "", 20),
    "butterfly": ("🦋", "", 40),
    "car": ("🚗 🚙 🚘 🚖 🚓 🚔", "🚕", 180),
    "bus": ("🚌 🚍 🚎", "", 90),
    "train": ("🚆 🚅 🚊 🚈 🚉", "🚄", 40),
    "truck": ("🚚 🚛", "", 60),
    "bicycle": ("🚲 🚴🏻 🚴🏿 🚴🏽‍♀️ 🚴🏻‍♀️", "🚴🏽 🚴🏾‍♂️", 40),
    "motorcycle": ("🏍️", "", 60),
    "airplane": ("✈️ 🛩️ 🛫", "🛬", 20),
    "helicopter": ("🚁", "", 40),
    "ship": ("🚢 🛳️ ⛴️", "", 20),
    "tractor": ("🚜", "", 40),
    "apple": ("🍎", "🍏", 180),
    "banana": ("🍌", "", 15),
    "strawberry": ("🍓", "", 15),
    "pizza": ("🍕", "", 15),
    "mushroom": ("🍄", "", 30),
    "beer": ("🍺", "🍻", 15),
    "umbrella": ("☂️ ☔", "", 90),
    "clock": ("🕐 🕑 🕓 🕔 🕖 🕗 🕙 🕚", "🕒 🕕 🕘 🕝", 20),
    "book": ("📕 📗 📙", "📘", 180),
    "heart": ("❤️ 💛 💚 💜 🖤 🤍 🤎", "🧡 💙", 180),
    "tree": ("🌲 🎄", "", 20),
    "cactus": ("🌵", "", 15),
    "lock": ("🔒 🔏", "🔓", 20),
    "key": ("🔑", "", 20),
    "camera": ("📷", "📸", 20),
    "phone": ("📱", "📲", 20),
    "laptop": ("💻", "", 20),
    "scissors": ("✂️", "", 40),
    "glasses": ("👓", "", 60),
    "shirt": ("👕 👔 👚", "", 90),
    "guitar": ("🎸", "", 40),
    "balloon": ("🎈", "", 60),
    "soccer ball": ("⚽", "", 15),
    "basketball": ("🏀", "", 15),
    "envelope": ("✉️ 📧 💌", "📩", 20),
    "folder": ("📁", "📂", 40),
    "globe": ("🌍 🌎", "🌏", 15),
    "hand": ("✋ ✋🏻 ✋🏼 ✋🏾 ✋🏿", "✋🏽", 10),
}
# Dogs and trains that look like no other of theirs join in the training's second phase; from then on these
# classes are tested by tint, too, beyond the tints of the first phase.
SECOND_PHASE = {
    "dog": ("🐕 🐶 🐩 🐕‍🦺 🦮", "", 60),
    "train": ("🚆 🚅 🚊 🚈 🚉 🚄", "", 80),
}
LABELS = list(CLASSES)
DISTRACTORS = "🔷 🔶 🟩 🟣 🔺 🧱 🪨 🎲 💠 🔘 🟫 ➰ 💢 🎗️ 🧶 🧊".split()
# More of them, for the training.
MORE_DISTRACTORS = (
    "🍇 🍊 🍋 🥕 🌽 🍞 🧀 🥚 🍩 🍪 🎂 🍦 🍭 🍯 🥤 🍷 🥦 🍔 🍟 🌭 🥨 🧅 🥥 🍍 🥝 🐘 🦒 🐍 🐌 🐞 🐙 🦀 🐬 🦔 🦇 🐊 🌻 🌹 🌷 🍁 🍀 "
    "🌙 ⭐ ☁️ ⚡ ❄️ 🔥 💧 🎁 🎀 🏆 🥇 🎯 🎳 🎮 🎧 🎤 🥁 🎺 🎨 🧵 👑 👒 🎩 👟 👠 👜 💍 💎 🔔 📌 📎 📏 🖍️ 🔍 🔦 💡 🕯️ 🔋 🔌 🧲 🔧 🔨 "
    "🪓 🔩 ⚙️ 🧪 🔭 💊 🧸 🪁 🚪 🪑 🛁 🚽 🧹 🧺 🧻 🧼 ⚓ 🚦 🛑 🏠 ⛺ 🗿 🗽 ⛲ 🎡 🚩 🏁 🪐 🌈 👻 👽 🤖 🎃 💀 👀 👂 👃 👣 🧠 🦷 🦴").split()
# Backgrounds of the test scenes; all others are the training's.
HELD_OUT = ("FallenLeaf Canopee Dune RainDrops Wood grid-l truchet-d "
            "rocket hubble_deep_field gravel").split()
# They show, or nearly show, a thing of some class.
LEFT_OUT = "coffee chelsea motorcycle horse Autumn FlyingKonqui SafeLanding pixels page".split()


def background_files():
    skimage = "/usr/lib/python3/dist-packages/skimage/data/"
    files = [max(glob.glob(folder + "/contents/images/*.*"), key=os.path.getsize)
             for folder in glob.glob("/usr/share/wallpapers/*") if glob.glob(folder + "/contents/images/*.*")]
    files += glob.glob("/usr/share/backgrounds/mate/nature/*.jpg") + glob.glob("/usr/share/backgrounds/gnome/*.webp")
    files += [skimage + name for name in ("astronaut.png", "brick.png", "grass.png", "gravel.png",
                                          "hubble_deep_field.jpg", "ihc.png", "retina.jpg", "rocket.jpg")]
    return [path for path in sorted(files) if not any(word in path for word in LEFT_OUT)]


def missing_material():
    """The first file or folder that the scenes are made from and which is not there, or None."""
    needed = [FONT, "/usr/share/wallpapers/FallenLeaf", "/usr/share/backgrounds/mate/nature",
              "/usr/share/backgrounds/gnome", "/usr/lib/python3/dist-packages/skimage/data/rocket.jpg"]
    return next((path for path in needed if not os.path.exists(path)), None)


def hue_matrix(degrees, saturation):
    """A rotation about the grey axis, and a scaling of the distance to it."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    u, w = 1 / 3, math.sqrt(1 / 3)
    rotation = np.array([[c + (1 - c) * u, u * (1 - c) - w * s, u * (1 - c) + w * s],
                         [u * (1 - c) + w * s, c + u * (1 - c), u * (1 - c) - w * s],
                         [u * (1 - c) - w * s, u * (1 - c) + w * s, c + u * (1 - c)]], np.float32)
    return saturation * rotation + (1 - saturation) * np.full((3, 3), u, np.float32)


def shared(one, other):
    """The area two squares (x, y, side) share, as a part of the smaller one."""
    (x, y, s), (u, v, t) = one, other
    return max(0, min(x + s, u + t) - max(x, u)) * max(0, min(y + s, v + t) - max(y, v)) / min(s, t) ** 2


class Scenes:
    """The scenes of one split, "train" or "test", of the training's phase 1 or 2."""

    def __init__(self, split, phase=2):
        self.split, self.is_varied = split, split == "train"
        self.classes = CLASSES | SECOND_PHASE if phase == 2 else CLASSES
        self.noise = np.random.default_rng(7).normal(0, 1, 1 << 20).astype(np.float32)
        font = ImageFont.truetype(FONT, 109)
        self.glyphs = [[self.glyph(font, text) for text in self.texts(name)] for name in LABELS]
        self.distractors = [self.glyph(font, text) for text in DISTRACTORS[split == "test"::2]]
        if self.is_varied:
            self.distractors += [self.glyph(font, text) for text in MORE_DISTRACTORS]
        chosen = [path for path in background_files()
                  if any(word in path for word in HELD_OUT) == (split == "test")]
        self.backgrounds = [self.shrunk(path) for path in chosen]

    def texts(self, name):
        seen, held_out, _ = self.classes[name]
        return (seen if self.split == "train" or not held_out else held_out).split()

    @staticmethod
    def glyph(font, text):
        picture = Image.new("RGBA", (140, 136))
        ImageDraw.Draw(picture).text((2, 4), text, font=font, embedded_color=True)
        picture = picture.crop(picture.getbbox())
        square = Image.new("RGBA", (128, 128))
        picture.thumbnail((128, 128))
        square.paste(picture, ((128 - picture.width) // 2, (128 - picture.height) // 2))
        return square

    @staticmethod
    def shrunk(path):
        picture = Image.open(path).convert("RGB")
        factor = 448 / min(picture.size)
        return picture.resize((max(448, round(picture.width * factor)), 448), Image.Resampling.BILINEAR)

    def varied_background(self, rng):
        """Backgrounds in other colours, turned, one laid over the other; gradients and coarse noise."""
        kind = rng.random()
        if kind < 0.15:
            corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
            picture = Image.fromarray(corners).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        else:
            picture = self.background(rng)
        if rng.random() < 0.35:
            picture = Image.blend(picture, self.background(rng), rng.uniform(0.2, 0.8))
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose(int(rng.integers(7))))
        if rng.random() < 0.6:
            colour = np.asarray(picture, np.float32) @ hue_matrix(rng.uniform(0, 360), rng.uniform(0.2, 1.5)).T
            colour = (colour - 128) * rng.uniform(-1.1, 1.1) + 128 + rng.uniform(-60, 60)
            picture = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
        return picture

    def background(self, rng):
        if rng.random() < 0.2:
            cells = int(rng.choice([4, 8, 16, 56]))
            noise = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
            return Image.fromarray(noise).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        picture = self.backgrounds[rng.integers(len(self.backgrounds))]
        side = int(rng.integers(160, 448))
        x, y = int(rng.integers(picture.width - side + 1)), int(rng.integers(picture.height - side + 1))
        picture = picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture

    def clutter(self, picture, rng):
        draw = ImageDraw.Draw(picture)
        for _ in range(rng.integers(0, 6)):
            x, y = rng.integers(0, SIZE, 2)
            w, h = rng.integers(6, 50, 2)
            colour = tuple(int(v) for v in rng.integers(0, 256, 3))
            box = (int(x), int(y), int(x + w), int(y + h))
            kind = rng.integers(3)
            if kind == 0:
                draw.ellipse(box, fill=colour)
            elif kind == 1:
                draw.rectangle(box, fill=colour)
            else:
                draw.line(box, fill=colour, width=int(rng.integers(1, 6)))
        for _ in range(rng.integers(0, 5 if self.is_varied else 3)):
            glyph = self.turned(self.distractors[rng.integers(len(self.distractors))], int(rng.integers(24, 72)), rng)
            picture.paste(glyph, tuple(int(v) for v in rng.integers(-10, SIZE - 30, 2)), glyph)

    @staticmethod
    def turned(glyph, side, rng):
        angle = float(np.clip(rng.normal(0, 18), -50, 50))
        turn = math.radians(abs(angle))
        inner = round(side / (math.cos(turn) + math.sin(turn)))
        small = glyph.resize((inner, inner), Image.Resampling.BOX).rotate(angle, Image.Resampling.BILINEAR, expand=True)
        fitted = Image.new("RGBA", (side, side))
        fitted.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
        return fitted

    def thing(self, label, side, rng):
        """One thing of a class: recoloured, turned, scaled."""
        glyphs = self.glyphs[label]
        glyph = glyphs[rng.integers(len(glyphs))]
        _, held_out, hue = self.classes[LABELS[label]]
        if rng.random() < 0.5:
            glyph = glyph.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.is_varied:
            hue = max(hue, 30) if held_out else hue  # a tint that is held out stays so
            size = (int(rng.integers(96, 129)), int(rng.integers(96, 129)))
            glyph = glyph.resize(size, Image.Resampling.BILINEAR)
        degrees = hue * rng.uniform(-1, 1)
        if not held_out:
            degrees = hue * float(rng.choice([-1, 1])) * self.tint(rng)
        values = np.asarray(glyph)
        colour = values[..., :3].astype(np.float32) @ hue_matrix(degrees, rng.uniform(0.6, 1.2)).T
        colour = (colour - 128) * rng.uniform(0.75, 1.2) + 128 + rng.uniform(-25, 25)
        values = np.dstack([np.clip(colour, 0, 255).astype(np.uint8), values[..., 3]])
        return self.turned(Image.fromarray(values), side, rng)

    def tint(self, rng):
        """A share of the largest change of hue: 0.5 to 0.7 in "test", anything else in "train"."""
        if self.split == "test":
            return rng.uniform(0.5, 0.7)
        share = rng.uniform(0, 0.8)
        return share if share < 0.5 else share + 0.2

    @staticmethod
    def place(count, rng):
        """Squares that hardly overlap: (x, y, side)."""
        while True:
            sides = rng.integers(64, (144, 112, 92, 80)[count - 1], count)
            spots = [(int(rng.integers(0, SIZE - s + 1)), int(rng.integers(0, SIZE - s + 1)), int(s)) for s in sides]
            if all(shared(*pair) < 0.08 for pair in itertools.combinations(spots, 2)):
                return spots

    def occlude(self, picture, mask, spot, rng):
        """Covers a part of a thing, at most about a quarter of its square, with something else."""
        x, y, side = spot
        w, h = (int(side * rng.uniform(0.2, 0.5)) for _ in range(2))
        u, v = x + int(rng.integers(side - w + 1)), y + int(rng.integers(side - h + 1))
        other = self.backgrounds[rng.integers(len(self.backgrounds))]
        at, top = int(rng.integers(other.width - w)), int(rng.integers(other.height - h))
        patch = other.crop((at, top, at + w, top + h))
        cover = Image.new("L", (w, h), 255)
        if rng.random() < 0.5:
            cover = Image.new("L", (w, h), 0)
            ImageDraw.Draw(cover).ellipse((0, 0, w - 1, h - 1), fill=255)
        picture.paste(patch, (u, v), cover)
        mask[v:v + h, u:u + w][np.asarray(cover) > 0] = -1

    def scene(self, index, count=None):
        """A picture (224, 224, 3 uint8), its labels, their masks' boxes (x0, y0, x1, y1), and the class of
        every pixel (224, 224; -1 where there is none)."""
        rng = np.random.default_rng([index, 1 if self.split == "train" else 2, count or 0])
        count = count or int(rng.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.15, 0.15]))
        labels = [int(v) for v in rng.choice(len(LABELS), count, replace=False)]
        picture = self.varied_background(rng) if self.is_varied else self.background(rng)
        self.clutter(picture, rng)
        mask = np.full((SIZE, SIZE), -1, np.int64)
        spots = self.place(count, rng)
        for label, (x, y, side) in zip(labels, spots):
            thing = self.thing(label, side, rng)
            picture.paste(thing, (x, y), thing)
            mask[y:y + side, x:x + side][np.asarray(thing)[..., 3] > 127] = label
        for spot in spots:
            if rng.random() < 0.3:
                self.occlude(picture, mask, spot, rng)
        if rng.random() < 0.2:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
        values = np.asarray(picture, np.float32) * rng.uniform(0.75, 1.1, 3).astype(np.float32)
        at = int(rng.integers(len(self.noise) - values.size))
        values += rng.uniform(0, 8) * self.noise[at:at + values.size].reshape(values.shape)
        boxes = []
        for label in labels:
            rows, columns = np.where(mask == label)
            boxes.append((int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())))
        return np.clip(values, 0, 255).astype(np.uint8), labels, boxes, mask
