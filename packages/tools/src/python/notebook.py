"""Runs cells as a notebook does: in one namespace, and with the value of the last expression shown."""

import __main__
import io
import json
import os
import sys
import traceback
import warnings
from collections import deque

from pyodide.code import eval_code_async

DRIVE = "/mnt/data"
IMAGES = "/tmp/images"

warnings.filterwarnings("ignore", message=".*non-interactive.*")  # plt.show() where there is no screen


class Output(io.TextIOBase):
    """What a cell prints: the beginning and the end, if it is longer than the limit."""

    def __init__(self, limit):
        self.half = limit // 2
        self.clear()

    def clear(self):
        self.size = 0
        self.head = ""
        self.tail = deque()
        self.tail_size = 0

    def writable(self):
        return True

    def write(self, text):
        self.size += len(text)
        room = self.half - len(self.head)
        self.head += text[:room]
        rest = text[room:][-self.half :]
        if rest:
            self.tail.append(rest)
            self.tail_size += len(rest)
        while self.tail and self.tail_size - len(self.tail[0]) >= self.half:
            self.tail_size -= len(self.tail.popleft())
        return len(text)

    def text(self):
        tail = "".join(self.tail)[-self.half :]
        left_out = self.size - len(self.head) - len(tail)
        note = f"\n[{left_out} characters left out]\n" if left_out > 0 else ""
        return self.head + note + tail


class Notebook:
    def __init__(self, output_limit):
        self.cells = 0
        self.output = sys.stdout = sys.stderr = Output(output_limit)
        os.makedirs(DRIVE, exist_ok=True)
        os.makedirs(IMAGES, exist_ok=True)
        os.chdir(DRIVE)

    async def run(self, code):
        """Returns JSON: the text, whether an exception was raised, and the paths of new files and of images."""
        self.cells += 1
        self.output.clear()
        self.images = []
        before = state_of_drive()
        failed = False
        try:
            value = await eval_code_async(code, __main__.__dict__, filename=f"cell_{self.cells}.py")
            self.show(value)
            self.show_plots()
        except BaseException as error:
            failed = True
            self.output.write("".join(describe(error)))
        after = state_of_drive()
        return json.dumps(
            {
                "text": self.output.text(),
                "failed": failed,
                "files": [path for path, state in after.items() if before.get(path) != state],
                "images": self.images,
            }
        )

    def show(self, value):
        if value is None:
            return
        __main__._ = value
        to_png = getattr(value, "_repr_png_", None)
        png = to_png() if callable(to_png) else None
        if isinstance(png, bytes):
            self.add_image(png)
        else:
            self.output.write(f"{value!r}\n")

    def show_plots(self):
        pyplot = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot else []:
            png = io.BytesIO()
            pyplot.figure(number).savefig(png, format="png")
            self.add_image(png.getvalue())
        if pyplot:
            pyplot.close("all")

    def add_image(self, png):
        path = f"{IMAGES}/{len(self.images)}.png"
        with open(path, "wb") as file:
            file.write(png)
        self.images.append(path)
        self.output.write(f"[image {len(self.images)}, {len(png)} bytes of PNG]\n")


def describe(error):
    """The lines of a traceback from the cell on."""
    frames = error.__traceback__
    while frames and not frames.tb_frame.f_code.co_filename.startswith("cell_"):
        frames = frames.tb_next
    return traceback.format_exception(type(error), error, frames)


def state_of_drive():
    """Path → what changes if the file does."""
    paths = (os.path.join(folder, name) for folder, _, names in os.walk(DRIVE) for name in names)
    return {path: (stat.st_mtime_ns, stat.st_size) for path in paths if (stat := os.stat(path, follow_symlinks=False))}
