"""Names of colours: the values that stand for each, and the words of a prompt that mean them.

A colour has the name of the nearest value (`colours.measure_shares`). The values are those of the
colour survey of xkcd (Randall Munroe, 2010; CC0), in which five million colours were named: common
names that say one basic colour, without those that move no border. Values of CSS Color Module Level
4 ("css") and some without colour ("plain") stand where the survey leaves a border to few answers.
"""

from __future__ import annotations

__all__ = ["BLENDS", "NAMES", "VALUES", "WORDS"]

VALUES = {
    "black": "black 000000, plain 141414",
    "white": (
        "white ffffff, off white ffffe4, css mintcream f5fffa, css aliceblue f0f8ff, css "
        "azure f0ffff, plain f0f0f0"
    ),
    "grey": (
        "grey 929591, light blue grey b7c9e2, reddish grey 997570, dark grey 363737, light "
        "grey d8dcd6, charcoal 343837, slate grey 59656d, steel grey 6f828a, plain 545454, "
        "css silver c0c0c0, css darkgray a9a9a9, css gray 808080, css dimgray 696969"
    ),
    "red": (
        "red e50000, maroon 650021, brick red 8f1402, burgundy 610023, light red ff474c, "
        "crimson 8c000f, pinkish red f10c45, scarlet be0119, deep red 9a0200, pale red "
        "d9544d, dull red bb3f3f, faded red d3494e, css firebrick b22222"
    ),
    "orange": (
        "orange f97306, dusty orange f0833a, orangeish fd8d49, orange pink ff6f52, burnt "
        "orange c04e01, pale orange ffa756, bright orange ff5b00, css orange ffa500"
    ),
    "yellow": (
        "yellow ffff14, muddy yellow bfac05, gold dbb40c, pale yellow ffff84, lemon fdff52, "
        "dull yellow eedc5b, pastel yellow fffe71"
    ),
    "green": (
        "green 15b01a, olive 6e750e, chartreuse c1f80a, seafoam 80f9ad, grey green 789b73, "
        "sage 87ae73, olive drab 6f7632, dark olive 373e02, greyish green 82a67d, pine green "
        "0a481e, jade 1fa774, light olive green a4be5c, faded green 7bb274, very light green "
        "d1ffbd, light lime green b9ff66, dark forest green 002d04, swamp green 748500, dark "
        "lime green 7ebd01, dark sea green 11875d, light sea green 98f6b0"
    ),
    "blue": (
        "blue 0343df, light grey blue 9dbcd4, dark grey blue 29465b, pale sky blue bdf6fe, "
        "dark blue grey 1f3b4d, dark royal blue 02066f, dark blue 00035b, navy blue 001146, "
        "bright blue 0165fc, navy 01153e, deep blue 040273, steel blue 5a7d9a, cornflower "
        "blue 5170d7, powder blue b1d1fc, cobalt 1e488f, pastel blue a2bffe, cobalt blue "
        "030aa7, sky 82cafc, dusty blue 5a86ad, light sky blue c6fcff, periwinkle blue "
        "8f99fb, faded blue 658cbb, denim blue 3b5b92, cerulean blue 056eee, purply blue "
        "661aee, css lightblue add8e6"
    ),
    "purple": (
        "purple 7e1e9c, light purple bf77f6, violet 9a0eea, periwinkle 8e82fe, bright purple "
        "be03fd, plum 580f41, royal purple 4b006e, deep purple 36013f, pale purple b790d4, "
        "eggplant 380835, light violet d6b4fc, grape 6c3461, pastel purple caa0ff, orchid "
        "c875c4, faded purple 916e99, electric purple aa23ff, medium purple 9e43a2, lighter "
        "purple a55af4, css indigo 4b0082"
    ),
    "pink": (
        "pink ff81c0, grey pink c3909b, peachy pink ff9a8a, magenta c20078, salmon ff796c, "
        "dark pink cb416b, light pink ffd1df, rose cf6275, bright pink fe01b1, dusty rose "
        "c0737a, deep pink cb0162, salmon pink fe7b7c, dull pink d5869d, pastel pink ffbacd, "
        "bubblegum pink fe83cc"
    ),
    "brown": (
        "brown 653700, pinkish brown b17261, burnt sienna b04e0f, light brown ad8150, dark "
        "brown 341c02, rust a83c09, ochre bf9005, sienna a9561e, red brown 8b2e16, clay "
        "b66a50, brownish 9c6d57, mahogany 4a0100, yellowish brown 9b7a01, golden brown "
        "b27a01, mocha 9d7651, coffee a6814c, css brown a52a2a"
    ),
    "beige": (
        "beige e6daa6, pinkish tan d99b82, tan d1b26f, taupe b9a281, sand e2ca76, cream "
        "ffffc2, ecru feffca, css bisque ffe4c4"
    ),
    "blue-green": (
        "dull teal 5f9e8f, turquoise 06c2ac, aquamarine 04d8b2, dark teal 014d4e, blue green "
        "137e6d, light teal 90e4c1, dark turquoise 045c5a, light turquoise 7ef4cc, aqua blue "
        "02d8e9, light cyan acfffc, dark aqua 05696b, pale turquoise a5fbd5, css cadetblue "
        "5f9ea0"
    ),
}
"""sRGB, each after the name that people gave it."""

NAMES = tuple(VALUES)

WORDS: dict[str, tuple[str, ...]] = {name: (name,) for name in NAMES if name != "blue-green"} | {
    "gray": ("grey",),
    "silver": ("grey",),
    "crimson": ("red",),
    "scarlet": ("red",),
    "maroon": ("red", "brown"),
    "burgundy": ("red", "purple"),
    "tan": ("brown", "beige"),
    "khaki": ("green", "brown", "beige"),
    "gold": ("yellow", "brown"),
    "golden": ("yellow", "brown"),
    "olive": ("green",),
    "teal": ("blue-green",),
    "turquoise": ("blue-green",),
    "cyan": ("blue-green",),
    "aqua": ("blue-green",),
    "navy": ("blue",),
    "violet": ("purple",),
    "indigo": ("purple",),
    "lilac": ("purple",),
    "lavender": ("purple",),
    "mauve": ("purple", "pink"),
    "magenta": ("purple", "pink"),
    "fuchsia": ("purple", "pink"),
    "reddish": ("red",),
    "orangish": ("orange",),
    "yellowish": ("yellow",),
    "greenish": ("green",),
    "bluish": ("blue",),
    "purplish": ("purple",),
    "pinkish": ("pink",),
    "brownish": ("brown",),
    "greyish": ("grey",),
    "grayish": ("grey",),
}
"""Words of a prompt, and the names that a thing of that colour may have in a picture."""

_BESIDE = {
    "red": "orange pink purple brown",
    "orange": "yellow pink brown",
    "yellow": "green brown beige",
    "green": "blue blue-green brown grey",
    "blue": "blue-green purple grey",
    "purple": "pink brown grey",
    "pink": "brown beige",
    "brown": "beige grey",
    "beige": "grey white",
}
BLENDS = frozenset(
    frozenset((one, other)) for one, others in _BESIDE.items() for other in others.split()
)
"""Names that, side by side in a prompt, mean one colour between them ("red-brown")."""
