"""Colours are named as a person would name them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.vision.colour_names import NAMES, WORDS
from memories_async.local.engine.vision.colours import measure_shares

# The colours of CSS, with the names that a person would accept for each.
CSS = """
aliceblue f0f8ff: white blue; antiquewhite faebd7: beige white; aqua 00ffff: blue-green blue;
aquamarine 7fffd4: blue-green green; azure f0ffff: white blue-green blue; beige f5f5dc: beige
white yellow; bisque ffe4c4: beige orange pink; black 000000: black; blanchedalmond ffebcd:
beige white; blue 0000ff: blue; blueviolet 8a2be2: purple; brown a52a2a: brown red; burlywood
deb887: beige brown; cadetblue 5f9ea0: blue-green blue; chartreuse 7fff00: green; chocolate
d2691e: brown orange; coral ff7f50: orange pink; cornflowerblue 6495ed: blue; cornsilk fff8dc:
beige white yellow; crimson dc143c: red; cyan 00ffff: blue-green blue; darkblue 00008b: blue;
darkcyan 008b8b: blue-green; darkgoldenrod b8860b: brown yellow orange; darkgray a9a9a9: grey;
darkgreen 006400: green; darkkhaki bdb76b: green beige yellow brown; darkmagenta 8b008b: purple;
darkolivegreen 556b2f: green; darkorange ff8c00: orange; darkorchid 9932cc: purple; darkred
8b0000: red brown; darksalmon e9967a: pink orange beige; darkseagreen 8fbc8f: green;
darkslateblue 483d8b: purple blue; darkslategray 2f4f4f: grey green blue-green; darkturquoise
00ced1: blue-green blue; darkviolet 9400d3: purple; deeppink ff1493: pink; deepskyblue 00bfff:
blue; dimgray 696969: grey; dodgerblue 1e90ff: blue; firebrick b22222: red; floralwhite fffaf0:
white beige; forestgreen 228b22: green; fuchsia ff00ff: pink purple; gainsboro dcdcdc: grey
white; ghostwhite f8f8ff: white; gold ffd700: yellow orange; goldenrod daa520: yellow orange
brown; gray 808080: grey; green 008000: green; greenyellow adff2f: green yellow; honeydew
f0fff0: white green; hotpink ff69b4: pink; indianred cd5c5c: red pink; indigo 4b0082: purple;
ivory fffff0: white yellow beige; khaki f0e68c: yellow beige; lavender e6e6fa: white grey purple
blue; lavenderblush fff0f5: white pink; lawngreen 7cfc00: green; lemonchiffon fffacd: yellow
beige white; lightblue add8e6: blue; lightcoral f08080: pink red; lightcyan e0ffff: white blue
blue-green; lightgoldenrodyellow fafad2: yellow beige white; lightgray d3d3d3: grey; lightgreen
90ee90: green; lightpink ffb6c1: pink; lightsalmon ffa07a: orange pink; lightseagreen 20b2aa:
blue-green; lightskyblue 87cefa: blue; lightslategray 778899: grey blue; lightsteelblue b0c4de:
blue grey; lightyellow ffffe0: white yellow beige; lime 00ff00: green; limegreen 32cd32: green;
linen faf0e6: white beige; magenta ff00ff: pink purple; maroon 800000: red brown;
mediumaquamarine 66cdaa: blue-green green; mediumblue 0000cd: blue; mediumorchid ba55d3: purple
pink; mediumpurple 9370db: purple; mediumseagreen 3cb371: green; mediumslateblue 7b68ee: purple
blue; mediumspringgreen 00fa9a: green blue-green; mediumturquoise 48d1cc: blue-green blue;
mediumvioletred c71585: pink purple; midnightblue 191970: blue; mintcream f5fffa: white;
mistyrose ffe4e1: pink white beige; moccasin ffe4b5: beige yellow orange; navajowhite ffdead:
beige orange yellow; navy 000080: blue; oldlace fdf5e6: white beige; olive 808000: green brown;
olivedrab 6b8e23: green; orange ffa500: orange; orangered ff4500: red orange; orchid da70d6:
purple pink; palegoldenrod eee8aa: yellow beige; palegreen 98fb98: green; paleturquoise afeeee:
blue-green blue; palevioletred db7093: pink; papayawhip ffefd5: beige white; peachpuff ffdab9:
beige orange pink; peru cd853f: brown orange; pink ffc0cb: pink; plum dda0dd: purple pink;
powderblue b0e0e6: blue blue-green; purple 800080: purple; rebeccapurple 663399: purple; red
ff0000: red; rosybrown bc8f8f: pink brown grey purple; royalblue 4169e1: blue; saddlebrown
8b4513: brown; salmon fa8072: pink orange red; sandybrown f4a460: orange brown beige; seagreen
2e8b57: green; seashell fff5ee: white beige pink; sienna a0522d: brown; silver c0c0c0: grey;
skyblue 87ceeb: blue; slateblue 6a5acd: purple blue; slategray 708090: grey blue; snow fffafa:
white; springgreen 00ff7f: green; steelblue 4682b4: blue; tan d2b48c: beige brown; teal 008080:
blue-green; thistle d8bfd8: purple pink grey; tomato ff6347: red orange; turquoise 40e0d0:
blue-green; violet ee82ee: purple pink; wheat f5deb3: beige yellow; white ffffff: white;
whitesmoke f5f5f5: white; yellow ffff00: yellow; yellowgreen 9acd32: green
"""
ACCEPTED = {}
CODES = {}
for entry in " ".join(CSS.split()).split("; "):
    colour, names = entry.split(": ")
    word, code = colour.split()
    ACCEPTED[word], CODES[word] = names.split(), code
# The ten tones of the Monk scale, the two of the colour checker, and others; fair to dark.
SKIN = (
    "f6ede4 f3e7db f7ead0 eadaba d7bd96 a07e56 825c43 604134 3a312a 292420 c29682 735244 ffdbac "
    "f1c27d e0ac69 c68642 8d5524 ffe0bd e7b99a cf9f85 b77b62 a3694f 8e5a44 c98b72 d89a80 b8735a "
    "9c5b48 d2826b e8a58c f0c0a8 6b4433 543021 452c22 c67c66 bd7f6e ad6b57 936050 "
)
# Oak, pine, walnut, cherry, teak, mahogany ...
WOOD = (
    "a07846 deb887 5d432c 82502d 966432 be8c50 c8823c b5793f 8b5a2b 6f4e37 9c6b3c c19a6b d2a56d "
    "a9744f 7b4a2a 4a2c17 b88b5a 704214 d9b382 b06a3b "
)


def paint(code, *, light=1.0):
    """A picture in one colour, blue first."""
    colour = np.array(list(bytes.fromhex(code))[::-1]) * light
    return np.full((54, 96, 3), np.clip(colour.round(), 0, 255), np.uint8)


def name(picture):
    return NAMES[measure_shares(picture).argmax()]


def compress(picture):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)


def test_table_names_every_colour_of_css():
    """All but the second spellings of grey, each with names that exist."""
    assert len(ACCEPTED) == 141
    assert {one for names in ACCEPTED.values() for one in names} == set(NAMES)


@pytest.mark.parametrize("word", ACCEPTED)
def test_colour_of_css_has_a_name_that_a_person_accepts(word):
    """Also a little darker or lighter, with noise, and compressed."""
    plain = paint(CODES[word])
    noise = np.random.default_rng(1).normal(0, 6, plain.shape)
    noisy = np.clip(plain + noise, 0, 255).astype(np.uint8)
    pictures = [
        plain,
        paint(CODES[word], light=0.97),
        paint(CODES[word], light=1.03),
        noisy,
        compress(noisy),
    ]

    assert {name(one) for one in pictures} <= set(ACCEPTED[word])


@pytest.mark.parametrize("light", [0.45, 0.6, 0.75, 0.9, 1.0])
def test_skin_is_never_red(light):
    """Of all tones, in the shade and in full light."""
    found = {name(paint(code, light=light)) for code in SKIN.split()}

    assert found <= {"beige", "brown", "black", "grey", "white"}


@pytest.mark.parametrize("light", [0.6, 0.75, 0.9, 1.0])
def test_wood_is_brown(light):
    """Or beige, or orange; never yellow."""
    found = {name(paint(code, light=light)) for code in WOOD.split()}

    assert found <= {"brown", "beige", "orange"}


@pytest.mark.parametrize("word", sorted((set(WORDS) & set(CODES)) - {"beige", "lavender"}))
def test_word_of_a_prompt_means_the_colour_that_css_calls_so(word):
    """The prompt and the picture agree; CSS's beige and lavender are all but white."""
    assert name(paint(CODES[word])) in WORDS[word]


@pytest.mark.parametrize(
    ("codes", "accepted"),
    [
        ("0000ff 000080 000040 3030c0 6060ff 9090ff", {"blue", "purple"}),
        ("0000ff 000080 000040 3030c0 4040ff 2050d0", {"blue"}),
        ("00ffff 00c0c0 008080 004c4c 40e0d0", {"blue-green"}),
        ("8b4513 5c3317 a0522d 3b2412 964b00", {"brown"}),
        ("ffffff f4f4f4 fffaf0", {"white"}),
        ("c8c8c8 a0a0a0 787878 505050 3c3c3c", {"grey"}),
        ("1c1c1c 0c0c14 000000", {"black"}),
        ("bfc8d8 d2d8e6 c4cee2", {"grey", "white"}),
    ],
    ids=["violet-blue", "blue", "blue-green", "brown", "white", "grey", "black", "white-wall"],
)
def test_shades_of_one_colour_share_its_name(codes, accepted):
    """From light to dark; the wall is a white one in cool light."""
    assert {name(paint(code)) for code in codes.split()} <= accepted


def test_shares_sum_to_one_and_follow_the_area():
    """Half red, half blue."""
    picture = paint("d21e1e")
    picture[:, 48:] = paint("1e5ac8")[:, 48:]

    found = measure_shares(picture)

    assert found.sum() == pytest.approx(1)
    assert found[NAMES.index("red")] == pytest.approx(0.5, abs=0.02)
    assert found[NAMES.index("blue")] == pytest.approx(0.5, abs=0.02)
