"""The picture of the page in browser.md: `python docs/make_page.py`, with Chromium and playwright."""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from ddcodec import web

ROOT = Path(__file__).parents[1]
TARGET = Path(__file__).parent / "figures" / "page.webp"
SIZE = {"width": 1100, "height": 720}
SAMPLE = "astronaut"


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto((web.FOLDER / "index.html").as_uri())
        page.set_input_files("input[type=file]", [ROOT / "samples" / f"{SAMPLE}.{end}" for end in ("ddc", "png")])
        page.wait_for_selector("canvas.difference", state="attached")
        shot = page.screenshot()
        browser.close()
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").save(TARGET, quality=85, method=6)


if __name__ == "__main__":
    main()
